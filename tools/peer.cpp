#include "tools/peer.h"

namespace taper::tools {

Compare compare_with_onednn = nullptr;

}  // namespace taper::tools
