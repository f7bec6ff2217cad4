#include "integration/keeper/harness.h"
