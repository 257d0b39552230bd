// A CUDA driver and runtime compiler for machines without a GPU, as far as naschain's kernels need
// them. The source of a kernel, as it would be passed to NVRTC, is compiled by g++ and run thread
// by thread on the host, so its arithmetic can be compared with that of the CPU kernels.
// Synchronisation and shared memory are not emulated; kernels that use either do not compile here.
//
//     g++ -O2 -shared -fPIC driver.cpp -o libcuda.so.1 && ln -s libcuda.so.1 libnvrtc.so
//
// With EMULATED_ROUNDING=unfused, products are rounded before they are added, and with
// EMULATED_ROUNDING=approximate, divisions and square roots have errors of up to 3 units in the last
// place, as Vulkan allows both.
//
// With EMULATED_FAILING_ALLOCATIONS=2-3 the second and the third allocation of memory fail; CubeCL tries
// a failed one again.
//
// The functions follow NVIDIA's CUDA Driver API and NVRTC manuals. Compiled kernels are cached in
// the folder EMULATED_CUDA_CACHE.
//
// New device memory is filled with NaN, so that a read before the first write shows in the results.
// g++ may contract products and sums as NVRTC does by default; every product that is added is a
// written fma, so there is nothing to contract. What NVRTC itself makes of the source cannot be seen
// here; without fast math its division and square root are IEEE, and it keeps subnormals.

#include <dlfcn.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

using std::string;

static string shell_quoted(const string& text) { return "'" + text + "'"; }

// ---- NVRTC ----

struct Program {
    string source, log, library;
};

// The name of the only kernel in a source.
static string kernel_name(const string& source) {
    size_t at = source.find("__global__");
    size_t bounds = source.find("__launch_bounds__", at);
    size_t open = source.find('(', at);
    if (bounds < open) open = source.find('(', source.find(')', bounds));
    size_t end = source.find_last_not_of(" \n\t", open - 1) + 1;
    size_t begin = source.find_last_of(" \n\t*)", end - 1) + 1;
    return source.substr(begin, end - begin);
}

extern "C" {

int nvrtcCreateProgram(Program** program, const char* source, const char*, int, const char**, const char**) {
    *program = new Program{source, "", ""};
    return 0;
}

int nvrtcCompileProgram(Program* program, int count, const char** options) {
    string text = program->source + "\nextern \"C\" void emulated(void** args, const uint3* grid, const uint3* block) {\n" +
                  "    gridDim = *grid, blockDim = *block;\n    call_all(" + kernel_name(program->source) + ", args);\n}\n";
    // Like NVIDIA's compiler by default, g++ may contract products and sums outside explicit fma
    // calls. The kernels must contain none.
    string flags = "-O2 -march=native -ffp-contract=fast -std=c++17 -shared -fPIC";
    const char* rounding = std::getenv("EMULATED_ROUNDING");
    if (rounding && rounding == string("unfused")) flags += " -DUNFUSED";
    if (rounding && rounding == string("approximate")) {
        flags += " -DAPPROXIMATE";
        text = std::regex_replace(text, std::regex("= (\\S+) / (\\S+);"), "= approximate_quotient($1, $2);");
    }
    for (int i = 0; i < count; i++) {
        string option = options[i], include = "--include-path=";
        if (option.rfind(include, 0) == 0) flags += " -I" + shell_quoted(option.substr(include.size()));
    }
    const char* folder = std::getenv("EMULATED_CUDA_CACHE");
    std::ostringstream base;
    base << (folder ? folder : "/tmp") << "/kernel-" << std::hex << std::hash<string>{}(text + flags);
    program->library = base.str() + ".so";
    if (std::ifstream(program->library)) return 0;
    std::ofstream(base.str() + ".cpp") << text;
    string made = base.str() + ".new", log = base.str() + ".log";
    string command = "g++ " + flags + " -o " + made + " " + base.str() + ".cpp > " + log + " 2>&1";
    if (std::system(command.c_str()) != 0) {
        std::stringstream said;
        said << std::ifstream(log).rdbuf();
        program->log = said.str();
        return 6;  // NVRTC_ERROR_COMPILATION
    }
    return std::rename(made.c_str(), program->library.c_str()) == 0 ? 0 : 6;
}

int nvrtcGetProgramLogSize(Program* program, size_t* size) { return *size = program->log.size() + 1, 0; }
int nvrtcGetProgramLog(Program* program, char* log) { return std::strcpy(log, program->log.c_str()), 0; }
int nvrtcGetPTXSize(Program* program, size_t* size) { return *size = program->library.size() + 1, 0; }
int nvrtcGetPTX(Program* program, char* ptx) { return std::strcpy(ptx, program->library.c_str()), 0; }
int nvrtcDestroyProgram(Program** program) { return delete *program, 0; }

// ---- The driver: one device, all calls are synchronous ----

typedef unsigned long long Pointer;

int cuInit(unsigned) { return 0; }
int cuDriverGetVersion(int* version) { return *version = 12080, 0; }
int cuDeviceGetCount(int* count) { return *count = 1, 0; }
int cuDeviceGet(int* device, int ordinal) { return *device = ordinal, ordinal == 0 ? 0 : 101; }
int cuDeviceTotalMem_v2(size_t* bytes, int) { return *bytes = size_t(8) << 30, 0; }
int cuDevicePrimaryCtxRetain(void** context, int) { return *context = (void*)1, 0; }
int cuDevicePrimaryCtxRelease_v2(int) { return 0; }
int cuCtxSetCurrent(void*) { return 0; }
int cuCtxGetCurrent(void** context) { return *context = (void*)1, 0; }

int cuDeviceGetAttribute(int* value, int attribute, int) {
    switch (attribute) {
        case 1: case 2: case 3: return *value = 1024, 0;  // threads of a block
        case 4: return *value = 64, 0;
        case 5: return *value = 2147483647, 0;  // blocks
        case 6: case 7: return *value = 65535, 0;
        case 10: return *value = 32, 0;      // threads of a warp
        case 16: return *value = 1, 0;       // multiprocessors
        case 75: return *value = 8, 0;       // compute capability 8.0
        case 97: return *value = 101376, 0;  // shared memory
        default: return *value = 0, 0;
    }
}

// New memory holds NaN, so that reads of uninitialised memory change the digest.
int cuMemAlloc_v2(Pointer* pointer, size_t bytes) {
    static std::atomic<int> calls{0};
    int first, last, call = ++calls;
    const char* failing = std::getenv("EMULATED_FAILING_ALLOCATIONS");
    if (failing && std::sscanf(failing, "%d-%d", &first, &last) == 2 && call >= first && call <= last) return 2;
    void* memory = std::malloc(bytes);
    if (!memory) return 2;  // CUDA_ERROR_OUT_OF_MEMORY
    std::memset(memory, 0xff, bytes);
    return *pointer = (Pointer)memory, 0;
}
int cuMemAllocAsync(Pointer* pointer, size_t bytes, void*) { return cuMemAlloc_v2(pointer, bytes); }
int cuMemFree_v2(Pointer pointer) { return std::free((void*)pointer), 0; }
int cuMemFreeAsync(Pointer pointer, void*) { return cuMemFree_v2(pointer); }
int cuMemAllocHost_v2(void** pointer, size_t bytes) { return (*pointer = std::malloc(bytes)) ? 0 : 2; }
int cuMemFreeHost(void* pointer) { return std::free(pointer), 0; }
int cuMemcpyHtoDAsync_v2(Pointer to, const void* from, size_t bytes, void*) { return std::memcpy((void*)to, from, bytes), 0; }
int cuMemcpyDtoHAsync_v2(void* to, Pointer from, size_t bytes, void*) { return std::memcpy(to, (void*)from, bytes), 0; }

// Rows with a pitch: each side is the host (memory type 1) or the device.
struct Side {
    size_t x, y;
    unsigned type;
    char* host;
    Pointer device;
    void* array;
    size_t pitch;

    char* row(size_t number) const {
        return (type == 1 ? host : (char*)device) + (y + number) * pitch + x;
    }
};

struct Copy2D {
    Side from, to;
    size_t width, height;
};

int cuMemcpy2DAsync_v2(const Copy2D* copy, void*) {
    for (size_t row = 0; row < copy->height; row++)
        std::memcpy(copy->to.row(row), copy->from.row(row), copy->width);
    return 0;
}

int cuStreamCreate(void** stream, unsigned) { return *stream = (void*)1, 0; }
int cuStreamDestroy_v2(void*) { return 0; }
int cuStreamSynchronize(void*) { return 0; }
int cuStreamWaitEvent(void*, void*, unsigned) { return 0; }
int cuEventCreate(void** event, unsigned) { return *event = (void*)1, 0; }
int cuEventDestroy_v2(void*) { return 0; }
int cuEventRecord(void*, void*) { return 0; }
int cuEventSynchronize(void*) { return 0; }
int cuGetErrorName(int, const char** text) { return *text = "EMULATED", 0; }
int cuGetErrorString(int, const char** text) { return *text = "an error of the emulated driver", 0; }

int cuModuleLoadData(void** module, const void* path) {
    *module = dlopen((const char*)path, RTLD_NOW | RTLD_LOCAL);
    return *module ? 0 : 200;  // CUDA_ERROR_INVALID_IMAGE
}
int cuModuleGetFunction(void** function, void* module, const char*) {
    *function = dlsym(module, "emulated");
    return *function ? 0 : 500;  // CUDA_ERROR_NOT_FOUND
}
int cuModuleUnload(void*) { return 0; }
int cuFuncSetAttribute(void*, int, int) { return 0; }

int cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned, void*, void** args, void**) {
    unsigned grid[3] = {grid_x, grid_y, grid_z}, block[3] = {block_x, block_y, block_z};
    ((void (*)(void**, const void*, const void*))function)(args, grid, block);
    return 0;
}
}
