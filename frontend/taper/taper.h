// taper: record a model on a tape, compile it, train it and run it, in one C++ program.
#pragma once

#include "frontend/checkpoint.h"
#include "frontend/compile.h"
#include "frontend/data.h"
#include "frontend/fingerprint.h"
#include "frontend/history.h"
#include "frontend/loss.h"
#include "frontend/mode.h"
#include "frontend/nn.h"
#include "frontend/ops.h"
#include "frontend/optim.h"
#include "frontend/quantize.h"
#include "frontend/saved_graph.h"
#include "frontend/schedule.h"
#include "frontend/tape.h"
#include "frontend/trainer.h"
