// Stands in for nanobind, so that the kernels' sources, unchanged, make a plain program for any processor. Only what
// they use is here; a use of more is an error of the compiler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace nanobind {

#ifdef STAND_IN_WITHOUT_FLOATS
using Real = std::int64_t;  // nothing here then keeps a file from compiling without floating-point registers
#else
using Real = double;
#endif

struct Array {
    char code = 0;  // as in Python's struct: B, H, I, Q, b, h, i, q, f
    bool written = false;
    std::vector<std::size_t> shape;
    std::unique_ptr<std::uint8_t[]> room;  // ends where the elements do: a sanitizer sees a step beyond
    std::uint8_t *data = nullptr;
    std::size_t bytes = 0;
};

struct bytes {
    std::string held;
    bytes() = default;
    bytes(const void *data, std::size_t size) : held(static_cast<const char *>(data), size) {}
};

// An argument or a result; which member counts is known to who reads it.
struct Value {
    std::int64_t integer = 0;
    Real real = 0;
    std::pair<Real, Real> pair;
    bytes string;
    Array array;
    std::shared_ptr<void> object;
};

using Arguments = std::vector<Value>;

template <class T>
struct Convert {  // a class of the kernels', by reference
    static bool fits(const Value &value) { return value.object != nullptr; }
    static T &from(Value &value) { return *static_cast<T *>(value.object.get()); }
};
template <class T>
    requires std::is_arithmetic_v<T>
struct Convert<T> {
    static bool fits(const Value &value) { return !value.object && !value.array.code; }
    static T from(Value &value) {
        if constexpr (std::is_floating_point_v<T>) return static_cast<T>(value.real);
        else return static_cast<T>(value.integer);
    }
};
template <class T>
struct Convert<std::shared_ptr<T>> {
    static bool fits(const Value &value) { return value.object != nullptr; }
    static std::shared_ptr<T> from(Value &value) { return std::static_pointer_cast<T>(value.object); }
};

inline void put(Value &to, bytes made) { to.string = std::move(made); }
inline void put(Value &to, bool made) { to.integer = made; }
inline void put(Value &to, std::pair<Real, Real> made) { to.pair = made; }
template <class T>
void put(Value &to, std::shared_ptr<T> made) { to.object = std::move(made); }

struct Function {
    std::function<bool(const Arguments &)> fits;
    std::function<Value(Arguments &)> call;
};

template <class R, class... P, std::size_t... I>
Function wrap(R (*function)(P...), std::index_sequence<I...>) {
    const auto fits = [](const Arguments &given) {
        return given.size() == sizeof...(P) && (Convert<std::remove_cvref_t<P>>::fits(given[I]) && ...);
    };
    const auto call = [function](Arguments &given) {
        Value made;
        if constexpr (std::is_void_v<R>) function(Convert<std::remove_cvref_t<P>>::from(given[I])...);
        else put(made, function(Convert<std::remove_cvref_t<P>>::from(given[I])...));
        return made;
    };
    return {fits, call};
}

struct module_ {
    std::multimap<std::string, Function> functions;
    std::string about;
    std::string &doc() { return about; }
    template <class R, class... P, class... Names>
    void def(const std::string &name, R (*function)(P...), const Names &...) {
        functions.emplace(name, wrap(function, std::index_sequence_for<P...>{}));
    }
};

template <class R, class... P>
struct New {
    R (*function)(P...);
};
template <class R, class... P>
New<R, P...> new_(R (*function)(P...)) { return {function}; }

template <class T>
class class_ {
   public:
    class_(module_ &m, const char *name) : module_of_(m), name_(name) {}
    template <class R, class... P, class... Names>
    class_ &def(New<R, P...> made, const Names &...) {
        module_of_.def(name_, made.function);
        return *this;
    }
    template <class R, class... P, class... Names>
    class_ &def(const char *name, R (*method)(P...), const Names &...) {
        module_of_.def(name_ + "." + name, method);
        return *this;
    }

   private:
    module_ &module_of_;
    std::string name_;
};

struct arg {
    explicit arg(const char *) {}
};
struct gil_scoped_release {
    gil_scoped_release() {}
    ~gil_scoped_release() {}
};
using value_error = std::invalid_argument;
inline void set_leak_warnings(bool) {}

void start(module_ &m);

}  // namespace nanobind

#define NB_MODULE(name, variable) void nanobind::start(nanobind::module_ &variable)
