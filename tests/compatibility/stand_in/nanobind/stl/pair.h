// nanobind.h of the stand-in has it.
#pragma once
