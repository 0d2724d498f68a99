// Conformance test module in C++ on the bare ABI 0.1.0. The README beside it says what it does.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "host.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string serialize(const Pairs& pairs) {
  std::string out;
  auto number = [&out](uint32_t n) { out.append(reinterpret_cast<const char*>(&n), sizeof n); };
  number(pairs.size());
  for (const auto& [name, value] : pairs) {
    number(name.size());
    number(value.size());
  }
  for (const auto& [name, value] : pairs) {
    out += name + '\0' + value + '\0';
  }
  return out;
}

struct Stream {
  std::string path;
};

// Made by a static constructor, which the host runs before anything else.
std::map<uint32_t, std::unique_ptr<Stream>> streams;
std::map<uint32_t, uint32_t> waiting;
std::string cluster;

uint32_t refuse() {
  const std::string body = "blocked by module";
  const std::string headers = serialize({{"x-module", "cpp"}});
  proxy_send_local_response(403, "denied", 6, body.data(), body.size(), headers.data(),
                            headers.size(), -1);
  return 1;
}

uint32_t ask(uint32_t id) {
  const std::string headers =
      serialize({{":method", "GET"}, {":path", "/cpp"}, {":authority", "callout.test"}});
  uint32_t token = 0;
  const uint32_t status = proxy_http_call(cluster.data(), cluster.size(), headers.data(),
                                          headers.size(), "", 0, "", 0, 5000, &token);
  tell("asked " + std::to_string(status));
  waiting[token] = id;
  return status == 0 ? 1 : 0;
}

}  // namespace

extern "C" {

void EXPORT(proxy_abi_version_0_1_0)() {}

void* EXPORT(proxy_on_memory_allocate)(size_t size) { return malloc(size); }

void EXPORT(proxy_on_context_create)(uint32_t id, uint32_t parent) {
  if (parent != 0) {
    streams[id] = std::make_unique<Stream>();
  }
}

uint32_t EXPORT(proxy_on_vm_start)(uint32_t, uint32_t) { return 1; }

uint32_t EXPORT(proxy_on_configure)(uint32_t, uint32_t) {
  Taken value;
  proxy_get_configuration(&value.data, &value.size);
  cluster = value.take();
  proxy_set_tick_period_milliseconds(50);
  return 1;
}

void EXPORT(proxy_on_tick)(uint32_t) {
  proxy_set_tick_period_milliseconds(0);
  tell("tick");
}

uint32_t EXPORT(proxy_on_request_headers)(uint32_t id, uint32_t) {
  auto& stream = *streams.at(id);
  stream.path = header(kRequestHeaders, ":path");
  tell("request headers " + stream.path + " '" + header(kRequestHeaders, "absent") + "'");
  if (stream.path == "/deny") {
    return refuse();
  }
  if (stream.path == "/trap") {
    abort();
  }
  proxy_set_property("cpp.path", 8, stream.path.data(), stream.path.size());
  add(kRequestHeaders, "x-path", property({"request\0url_path", 16}));
  proxy_remove_header_map_value(kRequestHeaders, "x-remove", 8);
  return stream.path == "/ask" ? ask(id) : 0;
}

uint32_t EXPORT(proxy_on_request_body)(uint32_t, uint32_t, uint32_t end) {
  if (!end) {
    return 1;
  }
  std::string content = body(kRequestBody);
  std::sort(content.begin(), content.end());
  replace(kRequestBody, content);
  return 0;
}

uint32_t EXPORT(proxy_on_response_headers)(uint32_t, uint32_t) {
  proxy_remove_header_map_value(kResponseHeaders, "content-length", 14);
  add(kResponseHeaders, "x-of", property("cpp.path"));
  return 0;
}

uint32_t EXPORT(proxy_on_response_body)(uint32_t id, uint32_t size, uint32_t end) {
  fprintf(stderr, "response body %u %u of %s\n", size, end, streams.at(id)->path.c_str());
  if (end) {
    replace(kResponseBody, body(kResponseBody) + "?");
  }
  return 0;
}

void EXPORT(proxy_on_http_call_response)(uint32_t, uint32_t token, uint32_t, uint32_t,
                                         uint32_t) {
  const std::string status = header(kCallHeaders, ":status");
  const std::string answer = body(kCallBody);
  proxy_set_effective_context(waiting.at(token));
  waiting.erase(token);
  tell("answered " + status + " " + answer);
  add(kRequestHeaders, "x-answer", answer);
  proxy_continue_request();
}

void EXPORT(proxy_on_log)(uint32_t id) { tell("log " + streams.at(id)->path); }

uint32_t EXPORT(proxy_on_done)(uint32_t) { return 1; }

void EXPORT(proxy_on_delete)(uint32_t id) {
  streams.erase(id);
  tell("deleted");
}
}
