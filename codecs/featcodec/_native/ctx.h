#pragma once
#include <nanobind/nanobind.h>

namespace featcodec {
void bind_ctx(nanobind::module_ &m);
}
