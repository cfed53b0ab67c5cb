// The ops for a resolver, as programs have one that link TFLite statically.
#include <fmtc/register.h>

#include <set>
#include <string>

struct Resolver {
  void AddCustom(const char* name, const TfLiteRegistration* registration) {
    if (registration != nullptr) names.insert(name);
  }
  std::set<std::string> names;
};

int main() {
  Resolver resolver;
  fmtc::AddFmtcOps(&resolver);
  return resolver.names == std::set<std::string>{"FMTC_DECODE", "FMTC_ENCODE", "FMTC_REGION"} ? 0 : 1;
}
