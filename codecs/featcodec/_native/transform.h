#pragma once

#include <nanobind/nanobind.h>

namespace featcodec {

void bind_transform(nanobind::module_ &m);

}  // namespace featcodec
