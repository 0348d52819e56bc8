#include "runtime/gdb_object.h"

#include <cstring>
#include <memory>

// The names and layouts are GDB's ("JIT Compilation Interface" of its manual).
extern "C" {
struct jit_code_entry {
  jit_code_entry* next_entry;
  jit_code_entry* prev_entry;
  const char* symfile_addr;
  std::uint64_t symfile_size;
};
struct jit_descriptor {
  std::uint32_t version;
  std::uint32_t action_flag;
  jit_code_entry* relevant_entry;
  jit_code_entry* first_entry;
};
// GDB sets a breakpoint here; it must stay a call of its own.
void __jit_debug_register_code();
[[gnu::noinline, gnu::used]] void __jit_debug_register_code() {
  asm volatile("" ::: "memory");
}
extern jit_descriptor __jit_debug_descriptor;
[[gnu::used]] jit_descriptor __jit_debug_descriptor = {1, 0, nullptr, nullptr};
}

namespace taper::runtime {
namespace {

constexpr std::uint32_t kRegister = 1;
constexpr char kSectionNames[] = "\0.text\0.symtab\0.strtab";
enum Section : std::uint16_t { kNone, kText, kSymbols, kStrings, kSections };

// One section of code that lies elsewhere, one symbol on it.
struct Object {
  Elf64_Ehdr header{};
  Elf64_Shdr sections[kSections]{};
  Elf64_Sym symbols[2]{};
  char section_names[sizeof kSectionNames]{};
};

Elf64_Shdr section(std::uint32_t name, std::uint32_t type, std::size_t offset, std::size_t size) {
  Elf64_Shdr s{};
  s.sh_name = name;
  s.sh_type = type;
  s.sh_offset = offset;
  s.sh_size = size;
  s.sh_addralign = 1;
  return s;
}

Object make_object(std::uint64_t address, std::size_t bytes, std::size_t name_bytes) {
  Object o;
  std::memcpy(o.header.e_ident, ELFMAG, SELFMAG);
  o.header.e_ident[EI_CLASS] = ELFCLASS64;
  o.header.e_ident[EI_DATA] = ELFDATA2LSB;
  o.header.e_ident[EI_VERSION] = EV_CURRENT;
  o.header.e_type = ET_EXEC;
  o.header.e_machine = kMachine;
  o.header.e_version = EV_CURRENT;
  o.header.e_ehsize = sizeof(Elf64_Ehdr);
  o.header.e_shoff = offsetof(Object, sections);
  o.header.e_shentsize = sizeof(Elf64_Shdr);
  o.header.e_shnum = kSections;
  o.header.e_shstrndx = kStrings;
  std::memcpy(o.section_names, kSectionNames, sizeof kSectionNames);
  o.sections[kText] = section(1, SHT_NOBITS, 0, bytes);
  o.sections[kText].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
  o.sections[kText].sh_addr = address;
  o.sections[kSymbols] = section(7, SHT_SYMTAB, offsetof(Object, symbols), sizeof o.symbols);
  o.sections[kSymbols].sh_link = kStrings;
  o.sections[kSymbols].sh_info = 1;
  o.sections[kSymbols].sh_entsize = sizeof(Elf64_Sym);
  o.sections[kSymbols].sh_addralign = 8;
  // The symbol's name follows the object; both kinds of names are in one table.
  o.sections[kStrings] = section(15, SHT_STRTAB, offsetof(Object, section_names),
                                 sizeof(Object) - offsetof(Object, section_names) + name_bytes);
  o.symbols[1].st_name = sizeof(Object) - offsetof(Object, section_names);
  o.symbols[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
  o.symbols[1].st_shndx = kText;
  o.symbols[1].st_value = address;
  o.symbols[1].st_size = bytes;
  return o;
}

}  // namespace

void register_with_gdb(const codegen::Routine& routine) {
  const std::string name = "taper:" + routine.name;
  const Object object = make_object(reinterpret_cast<std::uintptr_t>(routine.code->entry),
                                    routine.code->bytes.size(), name.size() + 1);
  const std::size_t size = sizeof object + name.size() + 1;
  // Both live as long as the process, as the code that they describe does.
  static std::vector<std::unique_ptr<char[]>> images;
  static std::vector<std::unique_ptr<jit_code_entry>> entries;
  images.push_back(std::make_unique<char[]>(size));
  std::memcpy(images.back().get(), &object, sizeof object);
  std::memcpy(images.back().get() + sizeof object, name.c_str(), name.size() + 1);
  entries.push_back(std::make_unique<jit_code_entry>(
      jit_code_entry{__jit_debug_descriptor.first_entry, nullptr, images.back().get(), size}));
  jit_code_entry* entry = entries.back().get();
  if (entry->next_entry != nullptr) entry->next_entry->prev_entry = entry;
  __jit_debug_descriptor.first_entry = __jit_debug_descriptor.relevant_entry = entry;
  __jit_debug_descriptor.action_flag = kRegister;
  __jit_debug_register_code();
}

}  // namespace taper::runtime
