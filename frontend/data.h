// Data: data sets, their files, augmentation and the loader that makes batches of them.
#pragma once

#include "frontend/data/augment.h"
#include "frontend/data/dataset.h"
#include "frontend/data/loader.h"
#include "frontend/data/numpy.h"
#include "frontend/data/sources.h"
