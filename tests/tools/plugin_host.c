/* Stands in for an emulator: loads a plugin as QEMU does and "executes" a program of known length.

   plugin_host -plugin FILE,out=FILE PROGRAM MODEL PASSES. Loading is a million instructions, and every pass 5
   million without a symbol in two blocks, 300,000 of a function of preprocessing and 40,000 of another one.
   MODEL "broken" fails. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb {
  const char* symbol;
  size_t instructions;
  uint64_t* counter;
  uint64_t step;
};
typedef void (*on_block)(uint64_t, struct qemu_plugin_tb*);
typedef void (*on_end)(uint64_t, void*);
static on_block translate;
static on_end end;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, on_block callback) {
  (void)id;
  translate = callback;
}
void qemu_plugin_register_atexit_cb(uint64_t id, on_end callback, void* data) {
  (void)id;
  (void)data;
  end = callback;
}
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb* block, int add, void* counter,
                                              uint64_t step) {
  if (add == 0) {
    block->counter = counter;
    block->step = step;
  }
}
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block) {
  return block->instructions;
}
const void* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* block, size_t index) {
  return index ? NULL : block;
}
const char* qemu_plugin_insn_symbol(const void* instruction) {
  return ((const struct qemu_plugin_tb*)instruction)->symbol;
}

static void execute(struct qemu_plugin_tb* block, int times) {
  translate(7, block);
  for (int i = 0; i < times; ++i) *block->counter += block->step;
}

int main(int count, char** words) {
  if (count != 6 || strcmp(words[1], "-plugin") != 0) return 64;
  if (strcmp(words[4], "broken") == 0) {
    fputs("error: a broken model\n", stderr);
    return 3;
  }
  char* option = strchr(words[2], ',');
  *option++ = '\0';
  void* plugin = dlopen(words[2], RTLD_NOW);
  if (!plugin) {
    fputs(dlerror(), stderr);
    return 65;
  }
  if (*(int*)dlsym(plugin, "qemu_plugin_version") != 1) return 66;
  int (*install)(uint64_t, const void*, int, char**) =
      (int (*)(uint64_t, const void*, int, char**))dlsym(plugin, "qemu_plugin_install");
  if (install(7, NULL, 1, &option) != 0) return 67;
  const int passes = atoi(words[5]);
  struct qemu_plugin_tb blocks[] = {{"main", 10, 0, 0},
                                    {NULL, 20, 0, 0},
                                    {"", 30, 0, 0},
                                    {"_ZN12Preprocessor3run", 3, 0, 0},
                                    {"tail", 8, 0, 0}};
  const int times[] = {100000, 100000 * passes, 100000 * passes, 100000 * passes, 5000 * passes};
  for (int i = 0; i < 5; ++i) execute(&blocks[i], times[i]);
  execute(&(struct qemu_plugin_tb){"tail", 6, 0, 0}, 0); /* translated, and never run */
  end(7, NULL);
  return 0;
}
