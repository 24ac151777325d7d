#pragma once

#include <nanobind/nanobind.h>

namespace featcodec {

void bind_uniform(nanobind::module_ &m);

}  // namespace featcodec
