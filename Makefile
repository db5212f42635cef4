# One Makefile for everything. `make help` lists the targets; `V=1` shows the commands.
#
# Objects land in build/$(VARIANT); the gates call this file again with another VARIANT.
# Sources are found by folder, so a new .c needs no edit here; the folders themselves are the
# layers that `check-layers` enforces. Steps longer than a line are scripts, which also run alone.
VARIANT ?= release
BUILD   ?= build/$(VARIANT)
PREFIX  ?= /usr/local
ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(VARIANT)),clang,gcc)
endif
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --no-print-directory $(if $(filter -j%,$(value MAKEFLAGS)),,-j$(shell nproc))
endif
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)')

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual \
        -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wwrite-strings -Wvla -Wformat=2 \
        -Wswitch-enum -Wnull-dereference
OPT_release := -O2 -g
OPT_asan    := -O1 -g -fsanitize=address -fno-omit-frame-pointer
OPT_ubsan   := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all
OPT_tsan    := -O1 -g -fsanitize=thread
OPT_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
CPPFLAGS += -I. -D_POSIX_C_SOURCE=200809L
CFLAGS   += -std=c11 $(OPT_$(VARIANT)) -fPIC $(WARN) $(if $(CI),-Werror)
LDFLAGS  += -Wl,--as-needed $(filter -fsanitize=%,$(OPT_$(VARIANT)))
ifneq ($(findstring clang,$(CC)),)
# clang without LLVM's OpenMP: gcc's omp.h, and nothing else of gcc's headers, beside gcc's libgomp.
CLANG_OMP := $(shell mkdir -p build/clang && ln -sf $$(gcc -print-file-name=include/omp.h) build/clang)
CPPFLAGS += -idirafter build/clang
LDFLAGS  += -L$(dir $(shell gcc -print-file-name=libgomp.so))
endif
# Other flags or another compiler: everything is compiled again (see $(BUILD)/flags).
BUILT_WITH := $(CC) $(CPPFLAGS) $(filter-out -Werror,$(CFLAGS))

# What the layers are linked with. A program keeps only what it uses (--as-needed): interpctl
# has neither the HTTP server nor the HTTP client, oneDNN is the worker's alone.
COMMON_LIBS := -lzmq -lmsgpackc -lhiredis -ljansson -lcyaml -lyaml -lzstd -lz -lcrypto -lpthread -lm
WORKER_LIBS := -ldnnl -lpcre2-8 -lutf8proc -lgomp
COORD_LIBS  := -lmicrohttpd -lcurl

# --- sources by folder ---------------------------------------------------------------
COMMON  := $(wildcard common/*.c)
KERNELS := $(wildcard kernels/*.c kernels/cpu/*.c kernels/selftest/*.c kernels/cuda/accounting*.c)
WORKER  := $(filter-out worker/main.c,$(wildcard worker/*.c worker/*/*.c))
MAINS   := worker/main.c coordinator/main.c coordinator/cli/main.c coordinator/gateway/main.c
COORD   := $(filter-out $(MAINS),$(wildcard coordinator/*.c coordinator/*/*.c))
UNIT    := $(wildcard tests/unit/*.c tests/support/*.c)
FUZZ    := $(wildcard tests/fuzz/fuzz_*.c)

# Files that programs carry inside (Lua scripts, the page): common/settle.lua becomes
# `extern const char embed_common_settle_lua[]`, NUL-terminated, and `..._size` without the NUL.
EMBED_COMMON := $(wildcard common/*.lua)
EMBED_COORD  := $(wildcard coordinator/*/*.lua coordinator/http/page/*)

comma := ,
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
embed_obj = $(patsubst %,$(BUILD)/embed/%.o,$(1))
LIB_COMMON  := $(BUILD)/libcommon.a
LIB_KERNELS := $(BUILD)/libkernels.a
LIB_WORKER  := $(BUILD)/libworker.a
LIB_COORD   := $(BUILD)/libcoordinator.a
NAMES    := interpctl interp-coordinator interp-worker interp-gateway
PROGRAMS := $(addprefix $(BUILD)/,$(NAMES))
FUZZ_PROGRAMS   := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ))

# Known models have the same bytes everywhere: no contraction there either.
$(BUILD)/worker/known/%.o: CFLAGS += -ffp-contract=off

# The vector kernels are compiled per instruction set and chosen at run time; fixed
# summation orders forbid contraction by the compiler's own choice.
$(BUILD)/kernels/%.o: CFLAGS += -ffp-contract=off -O3
$(BUILD)/kernels/cpu/%_avx512.o: CFLAGS += -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma
$(BUILD)/kernels/cpu/%_avx2.o: CFLAGS += -mavx2 -mfma -mf16c

.PHONY: all help FORCE
all: $(PROGRAMS) ## build the four programs

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile
	@echo 'Variables: V=1 commands, CI=1 warnings are errors, CC=clang, FILTER=suite/test (unit),'
	@echo '  FUZZ_SECONDS=10 a target, DESTDIR= PREFIX=$(PREFIX) (install, uninstall)'

$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(BUILT_WITH)' | cmp -s - $@ || { scripts/bootstrap --dry-run && echo '$(BUILT_WITH)' > $@; }

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/embed/%.c: % Makefile
	@mkdir -p $(@D)
	@name=embed_$$(printf '%s' '$<' | tr -c 'A-Za-z0-9' _); \
	{ printf '#include <stddef.h>\nextern const char %s[]; extern const size_t %s_size;\n' $$name $$name; \
	  printf 'const char %s[] = {\n' $$name; \
	  od -An -v -tx1 '$<' | sed 's/ \([0-9a-f][0-9a-f]\)/(char)0x\1,/g'; \
	  printf '0};\nconst size_t %s_size = sizeof %s - 1;\n' $$name $$name; } > $@
$(BUILD)/embed/%.o: $(BUILD)/embed/%.c $(BUILD)/flags
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@
.PRECIOUS: $(BUILD)/embed/%.c

$(LIB_COMMON):  $(call obj,$(COMMON)) $(call embed_obj,$(EMBED_COMMON))
$(LIB_KERNELS): $(call obj,$(KERNELS))
$(LIB_WORKER):  $(call obj,$(WORKER))
$(LIB_COORD):   $(call obj,$(COORD)) $(call embed_obj,$(EMBED_COORD))
$(BUILD)/%.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

link = $(Q)$(CC) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(1) -o $@
$(BUILD)/interp-worker: $(call obj,worker/main.c) $(LIB_WORKER) $(LIB_KERNELS) $(LIB_COMMON)
	$(call say,LINK,$@)
	$(call link,$(WORKER_LIBS) $(COMMON_LIBS))
$(BUILD)/interpctl: $(call obj,coordinator/cli/main.c) $(LIB_COORD) $(LIB_COMMON)
$(BUILD)/interp-coordinator: $(call obj,coordinator/main.c) $(LIB_COORD) $(LIB_COMMON)
$(BUILD)/interp-gateway: $(call obj,coordinator/gateway/main.c) $(LIB_COORD) $(LIB_COMMON)
$(BUILD)/interpctl $(BUILD)/interp-coordinator $(BUILD)/interp-gateway:
	$(call say,LINK,$@)
	$(call link,$(COORD_LIBS) $(COMMON_LIBS))

ALL_LIBS := $(LIB_WORKER) $(LIB_KERNELS) $(LIB_COORD) $(LIB_COMMON)
link_all = $(call link,$(1) $(WORKER_LIBS) $(COORD_LIBS) $(COMMON_LIBS))
$(BUILD)/unit-tests: $(call obj,$(UNIT)) $(ALL_LIBS)
	$(call say,LINK,$@)
	$(call link_all,-lcriterion)

# --- the CUDA backend on the host emulator: C++, g++ alone ------------------------------------
# The emulator itself is not instrumented; it tells the sanitizer what it does.
CXX := g++
CXX_WARN := -Wall -Wextra -Wpedantic -Wshadow -Wno-unused-parameter -Wno-unknown-pragmas
CXX_BASE := -std=c++20 -g -fPIC -MMD -MP $(CXX_WARN) $(if $(CI),-Werror) -I. -Ikernels/emu/include
EMU_SOURCES := $(wildcard kernels/emu/*.cc)
BUGS_PROGRAMS := $(addprefix $(BUILD)/emu/planted_bugs_,plain asan tsan)
BUGS_plain := -O1
BUGS_asan  := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
BUGS_tsan  := -O1 -fsanitize=thread
# fmaf() in a kernel is one instruction where this machine has it; the bits are the same.
EMU_ARCH := $(shell grep -qw fma /proc/cpuinfo 2> /dev/null && echo -mfma)
EMU_DEFINE_asan := -DEMU_ASAN
EMU_DEFINE_tsan := -DEMU_TSAN

define bugs_rules
$(BUILD)/emu/$(1)/%.o: kernels/emu/%.cc $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(call say,CXX,$$<)
	$$(Q)$(CXX) $(CXX_BASE) -O2 $(EMU_DEFINE_$(1)) -c $$< -o $$@
$(BUILD)/emu/$(1)/planted_bugs.o: tests/emu/planted_bugs.cu $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(call say,CXX,$$<)
	$$(Q)$(CXX) $(CXX_BASE) $(BUGS_$(1)) -x c++ -c $$< -o $$@
$(BUILD)/emu/planted_bugs_$(1): $(patsubst kernels/emu/%.cc,$(BUILD)/emu/$(1)/%.o,$(EMU_SOURCES)) \
    $(BUILD)/emu/$(1)/planted_bugs.o
	$$(call say,LINK,$$@)
	$$(Q)$(CXX) $(BUGS_$(1)) $$(filter %.o,$$^) -o $$@
endef
$(foreach kind,plain asan tsan,$(eval $(call bugs_rules,$(kind))))

# The plugin: host C by $(CC), kernels by g++ with the variant's sanitizer, the emulator without.
CUDA_C  := $(wildcard kernels/cuda/*.c) kernels/sparse_params.c kernels/row_checks.c
CUDA_CU := $(wildcard kernels/cuda/*.cu)
EMU_PLUGIN := $(BUILD)/libinterp_emu.so
emu_obj = $(patsubst %,$(BUILD)/emu/plugin/%.o,$(1))
$(BUILD)/emu/plugin/%.c.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) -Ikernels/emu/include $(CFLAGS) -DBACKEND_NAME='"emu"' \
	    -fvisibility=hidden -ffp-contract=off -MMD -MP -c $< -o $@
$(BUILD)/emu/plugin/%.cu.o: %.cu $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)$(CXX) $(CXX_BASE) $(OPT_$(VARIANT)) $(EMU_ARCH) -fvisibility=hidden -ffp-contract=off -x c++ \
	    -c $< -o $@
$(BUILD)/emu/plugin/%.cc.o: %.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)$(CXX) $(CXX_BASE) -O3 -fvisibility=hidden -ffp-contract=off $(EMU_DEFINE_$(VARIANT)) -c $< -o $@
$(EMU_PLUGIN): $(call emu_obj,$(CUDA_C) $(CUDA_CU) $(EMU_SOURCES)) $(LIB_COMMON)
	$(call say,LINK,$@)
	$(Q)$(CXX) -shared -Wl,--exclude-libs,ALL $(filter -fsanitize=%,$(OPT_$(VARIANT))) \
	    $(filter %.o,$^) $(LIB_COMMON) -o $@

# What the kernels touch: compiled for the thread sanitizer, linked with hooks of the test's own.
TOUCHED_PROGRAM := $(BUILD)/emu/touched_bytes
$(BUILD)/emu/touched/%.o: % $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CXX,$<)
	$(Q)$(CXX) $(CXX_BASE) -O1 $(if $(filter %.cu,$<),-fsanitize=thread) $(EMU_ARCH) \
	    -ffp-contract=off -x c++ -c $< -o $@
$(TOUCHED_PROGRAM): $(patsubst %,$(BUILD)/emu/touched/%.o,$(CUDA_CU) tests/emu/touched_bytes.cc) \
    $(call emu_obj,$(CUDA_C) $(EMU_SOURCES)) $(LIB_KERNELS) $(LIB_COMMON)
	$(call say,LINK,$@)
	$(Q)$(CXX) $(filter %.o,$^) $(LIB_KERNELS) $(LIB_COMMON) -ldl -lm -o $@

# A plugin that computes wrongly, for tests: the CPU's backend under the emulator's name.
PLANTED_PLUGIN := $(BUILD)/planted/libinterp_emu.so
$(PLANTED_PLUGIN): $(call obj,tests/emu/planted_plugin.c tests/support/planted_backend.c) \
    $(LIB_KERNELS) $(LIB_COMMON)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(call link,-shared -Wl$(comma)--exclude-libs$(comma)ALL -ldnnl -lgomp -lm)

# --- the CUDA backend itself: nvcc, only where it is asked for --------------------------------
# Plain arithmetic (-fmad=false), so that kernels round as they do on the emulator.
CUDA_HOME ?= $(or $(shell scripts/cuda-home),$(error no nvcc that knows sm_100: scripts/bootstrap --cuda))
NVCC_ARCHS := 80 86 89 90 100
NVCC_FLAGS := -std=c++20 -O3 -fmad=false -lineinfo -I. -Werror all-warnings -Xptxas -v \
    -Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra
NVCC_CODE := $(foreach arch,$(NVCC_ARCHS),-gencode arch=compute_$(arch),code=sm_$(arch)) \
    -gencode arch=compute_100,code=compute_100
# Its libraries: lib64/ as NVIDIA installs them, lib/ as its wheels do; cuBLAS of CUDA 12 or 13.
CUDA_LIB = $(or $(patsubst %/,%,$(dir $(firstword $(wildcard $(CUDA_HOME)/lib64/libcudart_static.a \
    $(CUDA_HOME)/lib/libcudart_static.a)))),$(error no libcudart_static.a in $(CUDA_HOME)/lib64 or lib))
CUBLAS = $(or $(lastword $(wildcard $(CUDA_LIB)/libcublas.so.1[0-9])),$(error no cuBLAS in $(CUDA_LIB)))
CUDA_PLUGIN := $(BUILD)/libinterp_cuda.so
cuda_obj = $(patsubst %,$(BUILD)/cuda/%.o,$(1))
$(BUILD)/cuda/%.cu.o: %.cu $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,NVCC,$<)
	$(Q)$(CUDA_HOME)/bin/nvcc $(NVCC_FLAGS) $(NVCC_CODE) -MMD -MP -c $< -o $@ 2> $(@:.o=.ptxas) || \
	    { cat $(@:.o=.ptxas); exit 1; }
# What the front end made of a source, to be read by scripts/cuda-check.
$(BUILD)/cuda/%.cu.ptx: %.cu $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,PTX,$<)
	$(Q)$(CUDA_HOME)/bin/nvcc $(NVCC_FLAGS) -arch=compute_$(lastword $(NVCC_ARCHS)) -MMD -MP -ptx $< -o $@
$(BUILD)/cuda/%.c.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) -isystem $(CUDA_HOME)/include $(CFLAGS) -fvisibility=hidden \
	    -ffp-contract=off -MMD -MP -c $< -o $@
$(CUDA_PLUGIN): $(call cuda_obj,$(CUDA_C) $(CUDA_CU)) $(LIB_COMMON)
	$(call say,LINK,$@)
	$(Q)$(CXX) -shared -Wl,--exclude-libs,ALL -Wl,-z,defs $(filter %.o,$^) $(LIB_COMMON) \
	    $(CUDA_LIB)/libcudart_static.a $(CUBLAS) -Wl,-rpath,$(CUDA_LIB) -ldl -lrt -lpthread -o $@
.PHONY: cuda cuda-kernels cuda-check gpu-check
cuda: $(CUDA_PLUGIN) ## libinterp_cuda.so; needs nvcc (scripts/bootstrap --cuda)
cuda-kernels: $(call cuda_obj,$(CUDA_CU)) $(patsubst %,$(BUILD)/cuda/%.ptx,$(CUDA_CU))
gpu-check: tests cuda ## what only a GPU can show, on a machine that has one (steps: scripts/gpu-check)
	@BUILD=$(BUILD) scripts/gpu-check
cuda-check: ## the CUDA backend through nvcc: warnings, spills, stack frames; skipped without nvcc
	@BUILD=$(BUILD) scripts/cuda-check

BENCH_PROGRAMS := $(addprefix $(BUILD)/,submit_latency echo_floor beanstalk_peer)
$(BENCH_PROGRAMS): $(BUILD)/%: $(BUILD)/tests/bench/%.o $(LIB_COMMON)
	$(call say,LINK,$@)
	$(call link,$(COMMON_LIBS))
$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(ALL_LIBS)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(call link_all,-fsanitize=fuzzer)
.SECONDARY: $(call obj,$(FUZZ))

-include $(wildcard $(BUILD)/*.d $(BUILD)/*/*.d $(BUILD)/*/*/*.d $(BUILD)/*/*/*/*.d $(BUILD)/emu/plugin/kernels/*/*.d $(BUILD)/cuda/kernels/*/*.d)

# --- programs and tests ---------------------------------------------------------------
.PHONY: bootstrap demo check unit integration tests emulator fuzz-programs
bootstrap: ## install what is missing for everything below (Debian 12)
	@scripts/bootstrap --demo --check --lint

demo: ## install what is missing, build, label the demo dictionary, show the result
	@scripts/bootstrap --demo
	@$(MAKE) all
	@BUILD=$(BUILD) scripts/demo

emulator: $(EMU_PLUGIN) $(PLANTED_PLUGIN) $(if $(filter release,$(VARIANT)),$(BUGS_PROGRAMS) $(TOUCHED_PROGRAM)) ## the CUDA backend for a host without CUDA
tests: all emulator $(BUILD)/unit-tests

check: ## install what is missing, build, pass every test
	@scripts/bootstrap --check
	@CI=1 BUILD=$(BUILD) scripts/check

unit: $(BUILD)/unit-tests emulator ## the unit tests alone
	$(Q)$(BUILD)/unit-tests --jobs=2 $(if $(FILTER),--filter='$(FILTER)')

integration: all emulator ## the integration tests alone
	@BUILD=$(BUILD) tests/integration/run $(FILTER)

bench: all $(BENCH_PROGRAMS) ## measure; JSON lines and a table
	@BUILD=$(BUILD) scripts/bench

# --- gates ------------------------------------------------------------------------------
.PHONY: asan ubsan tsan fuzz lint format check-layers
asan ubsan tsan: ## the tests under a sanitizer: memory, undefined behaviour, threads
	@scripts/bootstrap --check
	@tests/sanitizers/run $@
fuzz: ## every decoder for FUZZ_SECONDS
	@scripts/bootstrap --lint
	@tests/fuzz/run
fuzz-programs: $(FUZZ_PROGRAMS)

lint: ## clang-format, compiler warnings of clang, cppcheck, clang-tidy, sizes
	@scripts/bootstrap --lint
	@CPPFLAGS='$(CPPFLAGS)' WARN='$(WARN)' scripts/lint

format: ## put every C file into the shape that lint wants
	@git ls-files '*.c' '*.h' '*.cc' '*.cu' '*.cuh' | xargs clang-format -i

check-layers: ## no include across layers
	@scripts/check-layers

# --- install ----------------------------------------------------------------------------
.PHONY: install uninstall clean
BIN   := $(DESTDIR)$(PREFIX)/bin
SHARE := $(DESTDIR)$(PREFIX)/share
install: all ## programs, configuration, prompts, completion, licence below DESTDIR/PREFIX
	install -d $(BIN) $(SHARE)/interp/prompts $(SHARE)/interp/sweeps $(SHARE)/doc/interp \
	    $(SHARE)/bash-completion/completions
	install -m 755 $(PROGRAMS) $(wildcard $(CUDA_PLUGIN)) $(BIN)
	install -m 644 config/cluster.yaml config/providers.yaml $(SHARE)/interp
	install -m 644 config/prompts/* $(SHARE)/interp/prompts
	install -m 644 config/sweeps/*.yaml config/sweeps/*.jsonl $(SHARE)/interp/sweeps
	cp -R config/demo $(SHARE)/interp
	install -m 644 README.md LICENSE $(SHARE)/doc/interp
	$(BUILD)/interpctl completion bash > $(SHARE)/bash-completion/completions/interpctl

uninstall: ## remove what install put there
	rm -f $(addprefix $(BIN)/,$(NAMES) libinterp_cuda.so) $(SHARE)/bash-completion/completions/interpctl
	rm -rf $(SHARE)/interp $(SHARE)/doc/interp

clean: ## remove everything built
	rm -rf build
