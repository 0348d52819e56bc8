// Work of the compiler that several threads share.
#pragma once

#include <cstddef>
#include <functional>

namespace taper::codegen {

// Calls body(i) once for each i of [0, count), on the calling thread and on others that live until
// then, `threads` in all, in no order. Rethrows the first exception, by i.
void for_each_in_parallel(std::size_t count, std::size_t threads,
                          const std::function<void(std::size_t)>& body);

}  // namespace taper::codegen
