#pragma once

#include <nanobind/nanobind.h>

namespace featcodec {

void bind_floats(nanobind::module_ &m);

}  // namespace featcodec
