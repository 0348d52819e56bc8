// taper: record a model on a tape, compile it, train it and run it, in one C++ program.
#pragma once

#include "frontend/compile.h"
#include "frontend/data.h"
#include "frontend/loss.h"
#include "frontend/nn.h"
#include "frontend/ops.h"
#include "frontend/optim.h"
#include "frontend/schedule.h"
#include "frontend/tape.h"
