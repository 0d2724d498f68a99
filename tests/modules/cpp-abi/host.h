// The host calls of ABI 0.1.0 that the module uses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) name

extern "C" {
uint32_t IMPORT(proxy_log)(uint32_t, const char*, size_t);
uint32_t IMPORT(proxy_get_configuration)(char**, size_t*);
uint32_t IMPORT(proxy_set_tick_period_milliseconds)(uint32_t);
uint32_t IMPORT(proxy_get_property)(const char*, size_t, char**, size_t*);
uint32_t IMPORT(proxy_set_property)(const char*, size_t, const char*, size_t);
uint32_t IMPORT(proxy_get_header_map_value)(uint32_t, const char*, size_t, char**, size_t*);
uint32_t IMPORT(proxy_add_header_map_value)(uint32_t, const char*, size_t, const char*, size_t);
uint32_t IMPORT(proxy_remove_header_map_value)(uint32_t, const char*, size_t);
uint32_t IMPORT(proxy_get_buffer_bytes)(uint32_t, uint32_t, uint32_t, char**, size_t*);
uint32_t IMPORT(proxy_set_buffer_bytes)(uint32_t, uint32_t, uint32_t, const char*, size_t);
uint32_t IMPORT(proxy_send_local_response)(uint32_t, const char*, size_t, const char*, size_t,
                                           const char*, size_t, uint32_t);
uint32_t IMPORT(proxy_http_call)(const char*, size_t, const char*, size_t, const char*, size_t,
                                 const char*, size_t, uint32_t, uint32_t*);
uint32_t IMPORT(proxy_continue_request)();
uint32_t IMPORT(proxy_set_effective_context)(uint32_t);
}

enum Map : uint32_t { kRequestHeaders = 0, kResponseHeaders = 2, kCallHeaders = 6 };
enum Buffer : uint32_t { kRequestBody = 0, kResponseBody = 1, kCallBody = 4 };

constexpr uint32_t kAll = 1 << 20;

// Bytes that the host wrote into memory which it had malloc allocate.
class Taken {
 public:
  char* data = nullptr;
  size_t size = 0;
  std::string take() {
    std::string text(data ? data : "", size);
    free(data);
    data = nullptr;
    return text;
  }
};

inline void tell(const std::string& line) { proxy_log(3, line.data(), line.size()); }

inline std::string header(Map map, std::string_view name) {
  Taken value;
  proxy_get_header_map_value(map, name.data(), name.size(), &value.data, &value.size);
  return value.take();
}

inline void add(Map map, std::string_view name, std::string_view value) {
  proxy_add_header_map_value(map, name.data(), name.size(), value.data(), value.size());
}

inline std::string property(std::string_view path) {
  Taken value;
  proxy_get_property(path.data(), path.size(), &value.data, &value.size);
  return value.take();
}

inline std::string body(Buffer buffer) {
  Taken value;
  proxy_get_buffer_bytes(buffer, 0, kAll, &value.data, &value.size);
  return value.take();
}

inline void replace(Buffer buffer, std::string_view content) {
  proxy_set_buffer_bytes(buffer, 0, kAll, content.data(), content.size());
}
