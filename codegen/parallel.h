// Work of the compiler that several threads share.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <thread>

namespace taper::codegen {

// Calls body(i) once for each i of [0, count), on the calling thread and on others that live until
// then, `threads` in all, in no order. Rethrows the first exception, by i.
void for_each_in_parallel(std::size_t count, std::size_t threads,
                          const std::function<void(std::size_t)>& body);

// Moves threads that were just made to CPUs of their own, as far as there are any: the system may
// leave them on the one of the thread that made them for longer than compiling a program takes.
// From there they may go wherever they like.
void spread_over_cpus(std::span<std::jthread> threads);

}  // namespace taper::codegen
