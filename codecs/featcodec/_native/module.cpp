// The extension module: what each kernel does is documented beside its numpy reference, which it equals bit for bit.
#include <nanobind/nanobind.h>

#include "floats.h"
#include "rans.h"
#include "ctx.h"
#include "transform.h"
#include "uniform.h"

namespace nb = nanobind;

NB_MODULE(kernels, m) {
    nb::set_leak_warnings(false);  // profiles that live as long as the process are no leak
    m.doc() = "Native kernels of featcodec; every one has a bit-exact numpy reference.";
    featcodec::bind_rans(m);
    featcodec::bind_transform(m);
    featcodec::bind_uniform(m);
    featcodec::bind_ctx(m);
    featcodec::bind_floats(m);
}
