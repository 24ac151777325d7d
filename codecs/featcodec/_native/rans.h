#pragma once

#include <nanobind/nanobind.h>

namespace featcodec {

void bind_rans(nanobind::module_ &m);

}  // namespace featcodec
