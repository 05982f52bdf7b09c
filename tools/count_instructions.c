/* A plugin of QEMU's user-mode emulation: counts the instructions that a program executes, function by
   function.

   At the end it writes a line "<count> <function>" per function of the program into the file that `out=`
   names. What has no symbol, such as shared libraries, is counted as "-". tools/count_instructions.py builds
   and uses it. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Version 1 of QEMU's interface for plugins, as far as it is used. */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                           void (*)(qemu_plugin_id_t, struct qemu_plugin_tb*));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb*, enum qemu_plugin_op, void*, uint64_t);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void*), void*);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb*, size_t);
const char* qemu_plugin_insn_symbol(const struct qemu_plugin_insn*);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

struct function {
  char* name;
  uint64_t executed;
  struct function* next;
};

static struct function* functions;
static const char* out;

static struct function* function_of(const char* name) {
  struct function* found = functions;
  while (found && strcmp(found->name, name) != 0) found = found->next;
  if (!found) {
    found = calloc(1, sizeof *found);
    found->name = strdup(name);
    found->next = functions;
    functions = found;
  }
  return found;
}

/* Called under a lock of QEMU, once for every run of instructions without a branch. */
static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
  (void)id;
  const char* name = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(block, 0));
  struct function* function = function_of(name && *name ? name : "-");
  qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &function->executed,
                                           qemu_plugin_tb_n_insns(block));
}

static void finished(qemu_plugin_id_t id, void* unused) {
  (void)id;
  (void)unused;
  FILE* file = fopen(out, "w");
  if (!file) return; /* who reads the file misses it */
  for (const struct function* one = functions; one; one = one->next) {
    if (one->executed) fprintf(file, "%" PRIu64 " %s\n", one->executed, one->name);
  }
  fclose(file);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void* info,
                                                               int count, char** arguments) {
  (void)info;
  if (count != 1 || strncmp(arguments[0], "out=", 4) != 0) {
    fprintf(stderr, "count_instructions: give it out=FILE\n");
    return 1;
  }
  out = strdup(arguments[0] + 4);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, finished, NULL);
  return 0;
}
