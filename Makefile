# One Makefile for everything. `make help` lists the targets; `V=1` shows the commands.
#
# Objects land in $(BUILD) (default build/release); the sanitizer targets call this file
# again with another VARIANT. Sources are found by folder, so a new .c needs no edit here;
# the folders themselves are the layers that `check-layers` enforces.
VARIANT ?= release
BUILD   ?= build/$(VARIANT)
PREFIX  ?= /usr/local
CC      ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)')

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual \
        -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wwrite-strings -Wvla -Wformat=2 \
        -Wswitch-enum -Wnull-dereference $(if $(CI),-Werror)
OPT_release := -O2 -g
OPT_asan    := -O1 -g -fsanitize=address -fno-omit-frame-pointer
OPT_ubsan   := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all
OPT_tsan    := -O1 -g -fsanitize=thread
CPPFLAGS += -I. -D_POSIX_C_SOURCE=200809L
CFLAGS   += -std=c11 $(OPT_$(VARIANT)) -fPIC $(WARN)
LDFLAGS  += $(filter -fsanitize=%,$(OPT_$(VARIANT)))

COMMON_LIBS := -lzmq -lmsgpackc -lhiredis -ljansson -lcyaml -lyaml -lzstd -lz -lcrypto -lpthread -lm
WORKER_LIBS := -ldnnl -lpcre2-8 -lutf8proc -lgomp
COORD_LIBS  := -lmicrohttpd -lcurl

# --- sources by folder ---------------------------------------------------------------
COMMON  := $(wildcard common/*.c)
KERNELS := $(wildcard kernels/cpu/*.c)
WORKER  := $(filter-out worker/main.c,$(wildcard worker/*.c worker/*/*.c))
MAINS   := worker/main.c coordinator/main.c coordinator/cli/main.c coordinator/gateway/main.c
COORD   := $(filter-out $(MAINS),$(wildcard coordinator/*.c coordinator/*/*.c))
UNIT    := $(wildcard tests/unit/*.c)
SUPPORT := $(wildcard tests/support/*.c)

# Files that programs carry inside (Lua scripts, the page): common/settle.lua becomes
# `extern const char embed_common_settle_lua[]`, NUL-terminated, and `..._size` without the NUL.
EMBED_COMMON := $(wildcard common/*.lua)
EMBED_COORD  := $(wildcard coordinator/*/*.lua coordinator/http/page/*)

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
embed_obj = $(patsubst %,$(BUILD)/embed/%.o,$(1))
LIB_COMMON  := $(BUILD)/libcommon.a
LIB_KERNELS := $(BUILD)/libkernels.a
LIB_WORKER  := $(BUILD)/libworker.a
LIB_COORD   := $(BUILD)/libcoordinator.a
PROGRAMS := $(addprefix $(BUILD)/,interp-worker interp-coordinator interpctl interp-gateway)

# The vector kernels are compiled per instruction set and chosen at run time; fixed
# summation orders forbid contraction by the compiler's own choice.
$(BUILD)/kernels/%.o: CFLAGS += -ffp-contract=off -O3
$(BUILD)/kernels/cpu/%_avx512.o: CFLAGS += -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma
$(BUILD)/kernels/cpu/%_avx2.o: CFLAGS += -mavx2 -mfma -mf16c

.PHONY: all help
all: $(PROGRAMS) ## build the four programs

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

$(BUILD)/%.o: %.c
	@mkdir -p $(dir $@)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/embed/%.c: %
	@mkdir -p $(dir $@)
	@name=embed_$$(printf '%s' '$<' | tr -c 'A-Za-z0-9' _); \
	{ printf '#include <stddef.h>\nextern const char %s[]; extern const size_t %s_size;\n' $$name $$name; \
	  printf 'const char %s[] = {\n' $$name; \
	  od -An -v -tx1 '$<' | sed 's/ \([0-9a-f][0-9a-f]\)/(char)0x\1,/g'; \
	  printf '0};\nconst size_t %s_size = sizeof %s - 1;\n' $$name $$name; } > $@
$(BUILD)/embed/%.o: $(BUILD)/embed/%.c
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
$(BUILD)/interp-coordinator: $(call obj,coordinator/main.c) $(LIB_COORD) $(LIB_COMMON)
	$(call say,LINK,$@)
	$(call link,$(COORD_LIBS) $(COMMON_LIBS))
$(BUILD)/interpctl: $(call obj,coordinator/cli/main.c) $(LIB_COORD) $(LIB_COMMON)
	$(call say,LINK,$@)
	$(call link,$(COORD_LIBS) $(COMMON_LIBS))
$(BUILD)/interp-gateway: $(call obj,coordinator/gateway/main.c) $(LIB_COORD) $(LIB_COMMON)
	$(call say,LINK,$@)
	$(call link,$(COORD_LIBS) $(COMMON_LIBS))

$(BUILD)/unit-tests: $(call obj,$(UNIT)) $(LIB_WORKER) $(LIB_KERNELS) $(LIB_COORD) $(LIB_COMMON)
	$(call say,LINK,$@)
	$(call link,-lcriterion $(WORKER_LIBS) $(COORD_LIBS) $(COMMON_LIBS))

-include $(wildcard $(BUILD)/*.d $(BUILD)/*/*.d $(BUILD)/*/*/*.d $(BUILD)/*/*/*/*.d)

# --- tests and gates: scripts hold the steps, so that they can be run alone -----------
.PHONY: check unit clean
unit: $(BUILD)/unit-tests ## run the unit tests alone
	$(Q)$(BUILD)/unit-tests --jobs=2 $(if $(FILTER),--filter='$(FILTER)')

clean: ## remove everything built
	rm -rf build
