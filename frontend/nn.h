// Layers, with PyTorch's names, parameter shapes and default initialisation.
#pragma once

#include "frontend/nn_activation.h"
#include "frontend/nn_conv.h"
#include "frontend/nn_linear.h"
#include "frontend/nn_module.h"
#include "frontend/nn_norm.h"
#include "frontend/nn_pool.h"
