// Runs the kernel calls of a trace (trace.py writes it) and compares every result, byte by byte, with what Python got.
//     replay TRACE [all|decode]      prints "NAME CALLS" for each kernel; exit code 1 at the first difference
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include <nanobind/ndarray.h>

namespace {

static_assert(std::endian::native == std::endian::little, "traces and the kernels' arrays are little-endian");

using nanobind::Arguments, nanobind::Array, nanobind::Value;

class Trace {
   public:
    explicit Trace(const char *path) {
        std::ifstream file(path, std::ios::binary);
        bytes_.assign(std::istreambuf_iterator<char>(file), {});
        if (!file) throw std::runtime_error("cannot read the trace");
    }
    template <class T>
    T get() {
        T value;
        std::memcpy(&value, take(sizeof value), sizeof value);
        return value;
    }
    const char *take(std::uint64_t size) {
        if (size > bytes_.size() - at_) throw std::runtime_error("the trace is cut short");
        at_ += static_cast<std::size_t>(size);
        return bytes_.data() + at_ - size;
    }
    std::string text() {
        const auto size = get<std::uint64_t>();
        return {take(size), static_cast<std::size_t>(size)};
    }
    bool ended() const { return at_ == bytes_.size(); }

   private:
    std::vector<char> bytes_;
    std::size_t at_ = 0;
};

void require(bool same, const char *what) {
    if (!same) throw std::runtime_error(what);
}

// The elements; those of an array that the kernel writes are what it must hold afterwards.
const char *read_array(Trace &trace, Array &to, bool written) {
    to.code = trace.get<char>();
    to.written = written;
    const auto displaced = trace.get<std::uint8_t>();  // from a multiple of 16, as in Python
    to.shape.resize(trace.get<std::uint8_t>());
    for (auto &extent : to.shape) extent = static_cast<std::size_t>(trace.get<std::uint64_t>());
    to.bytes = static_cast<std::size_t>(trace.get<std::uint64_t>());
    to.room = std::make_unique<std::uint8_t[]>(displaced + to.bytes);
    to.data = to.room.get() + displaced;
    const char *given = trace.take(to.bytes);
    if (written)
        std::fill_n(to.data, to.bytes, std::uint8_t{0xA5});
    else
        std::copy_n(given, to.bytes, to.data);
    return given;
}

bool same(double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); }

bool decodes(const std::string &name) {
    return name != "extent" && name != "quantise" && name.find("encode") == std::string::npos;
}

class Replay {
   public:
    Replay(Trace &trace, bool all) : trace_(trace), all_(all) { nanobind::start(module_); }

    void call(const std::string &name) {
        Arguments arguments(trace_.get<std::uint8_t>());
        std::vector<std::pair<std::size_t, const char *>> outputs;
        for (std::size_t i = 0; i < arguments.size(); ++i) {
            Value &to = arguments[i];
            const char kind = trace_.get<char>();
            if (kind == 'i') to.real = static_cast<double>(to.integer = trace_.get<std::int64_t>());
            if (kind == 'd') to.real = trace_.get<double>();
            if (kind == 'h') to.object = objects_.at(trace_.get<std::uint32_t>());
            if (kind == 'a') read_array(trace_, to.array, false);
            if (kind == 'o') outputs.emplace_back(i, read_array(trace_, to.array, true));
        }
        const bool wanted = all_ || decodes(name);
        Value made;
        bool failed = false;
        if (wanted) {
            try {
                made = function(name, arguments)(arguments);
            } catch (const std::logic_error &) {
                failed = true;  // invalid_argument
            } catch (const std::runtime_error &) {
                failed = true;  // Corrupt
            }
        }
        if (compare(made, failed, wanted) && wanted)
            for (const auto &[index, expected] : outputs) {
                const Array &array = arguments[index].array;
                require(std::memcmp(array.data, expected, array.bytes) == 0, "an array differs");
            }
        if (wanted) ++calls_[name];
    }

    void print() const {
        for (const auto &[name, count] : calls_) std::printf("%s %zu\n", name.c_str(), count);
    }

   private:
    std::function<Value(Arguments &)> &function(const std::string &name, const Arguments &arguments) {
        auto [first, last] = module_.functions.equal_range(name);
        for (; first != last; ++first)
            if (first->second.fits(arguments)) return first->second.call;
        std::fprintf(stderr, "%s: no such kernel, or not with these arguments\n", name.c_str());
        std::exit(2);
    }

    // Whether the outputs hold something.
    bool compare(const Value &made, bool failed, bool wanted) {
        const char kind = trace_.get<char>();
        if (wanted) require(failed == (kind == 'e'), failed ? "an error" : "no error");
        bool whole = kind != 'e';
        if (kind == 'b') {
            const std::string expected = trace_.text();
            if (wanted) require(made.string.held == expected, "bytes differ");
        }
        if (kind == 't') {
            whole = trace_.get<std::uint8_t>() != 0;
            if (wanted) require((made.integer != 0) == whole, "true and false");
        }
        if (kind == 'p') {  // of the pair that is NaN, the bits say nothing
            const auto first = trace_.get<double>(), second = trace_.get<double>();
            const bool alike = std::isnan(first) ? std::isnan(made.pair.first)
                                                 : same(first, made.pair.first) && same(second, made.pair.second);
            if (wanted) require(alike, "a pair of numbers differs");
        }
        if (kind == 'h') objects_[trace_.get<std::uint32_t>()] = made.object;
        return whole;
    }

    Trace &trace_;
    const bool all_;
    nanobind::module_ module_;
    std::map<std::uint32_t, std::shared_ptr<void>> objects_;
    std::map<std::string, std::size_t> calls_;
};

}  // namespace

int main(int count, char **given) {
    if (count < 2) return 2;
    std::string name = "the trace";
    std::size_t number = 0;
    try {
        Trace trace(given[1]);
        Replay replay(trace, count < 3 || std::strcmp(given[2], "decode") != 0);
        for (; !trace.ended(); ++number) replay.call(name = trace.text());
        replay.print();
    } catch (const std::exception &error) {
        std::fprintf(stderr, "call %zu, %s: %s\n", number, name.c_str(), error.what());
        return 1;
    }
    return 0;
}
