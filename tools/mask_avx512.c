// Preloaded by without_avx512.py: executes what was patched from CPUID to UD2, and leaves out AVX-512, AMX and all
// VNNI; with the variable FMTC_MASK_AMX_ONLY in the environment AMX alone.
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

// Bits of leaf 7.
enum {
  kEbx = 1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31,  // AVX-512 F to VL
  kEcx = 1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14,  // VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ
  kEdx = 1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25,  // AVX-512 of others, AMX
  kAmx = 1u << 22 | 1u << 24 | 1u << 25,                                           // of EDX
  kSubleafEax = 1u << 4 | 1u << 5,                                                 // AVX-VNNI, AVX-512 BF16
  kSubleafEdx = 1u << 4 | 1u << 10,                                                // AVX-VNNI of others
};

static int amx_only;

static void OnIllegalInstruction(int signal_number, siginfo_t* info, void* context) {
  greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
  const unsigned char* instruction = (const unsigned char*)registers[REG_RIP];
  (void)signal_number;
  (void)info;
  if (instruction[0] != 0x0F || instruction[1] != 0x0B) abort();
  const unsigned leaf = (unsigned)registers[REG_RAX], subleaf = (unsigned)registers[REG_RCX];
  unsigned a, b, c, d;
  __cpuid_count(leaf, subleaf, a, b, c, d);
  if (leaf == 7 && subleaf == 0 && amx_only) d &= ~(unsigned)kAmx;
  if (leaf == 7 && subleaf == 0 && !amx_only) {
    b &= ~(unsigned)kEbx;
    c &= ~(unsigned)kEcx;
    d &= ~(unsigned)kEdx;
  }
  if (leaf == 7 && subleaf == 1 && !amx_only) {
    a &= ~(unsigned)kSubleafEax;
    d &= ~(unsigned)kSubleafEdx;
  }
  registers[REG_RAX] = a;
  registers[REG_RBX] = b;
  registers[REG_RCX] = c;
  registers[REG_RDX] = d;
  registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void Install(void) {
  struct sigaction action;
  amx_only = getenv("FMTC_MASK_AMX_ONLY") != NULL;
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = OnIllegalInstruction;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGILL, &action, NULL);
}
