// Conformance test module in Go on the bare ABI. The README beside it says
// what it does.
package main

import (
	"bytes"
	"encoding/json"
	"strconv"
)

type config struct {
	Add          map[string]string `json:"add"`
	DenyPath     *string           `json:"deny_path"`
	DenyBody     *string           `json:"deny_body"`
	EchoProperty []string          `json:"echo_property"`
	TrapPath     *string           `json:"trap_path"`
}

// By the identity of the root context, and the root context of each stream.
var (
	configs = map[uint32]*config{}
	roots   = map[uint32]uint32{}
)

func main() {}

//go:wasmexport proxy_abi_version_0_2_1
func abiVersion() {}

//go:wasmexport proxy_on_context_create
func onContextCreate(context, root uint32) {
	if root == 0 {
		configs[context] = &config{}
		return
	}
	roots[context] = root
}

//go:wasmexport proxy_on_vm_start
func onVMStart(_, _ uint32) uint32 { return 1 }

//go:wasmexport proxy_on_configure
func onConfigure(root, size uint32) uint32 {
	parsed := &config{}
	if err := json.Unmarshal(buffer(bufferPluginConfig, size), parsed); err != nil {
		log(logError, "the configuration is not JSON")
		return 0
	}
	configs[root] = parsed
	return 1
}

//go:wasmexport proxy_on_request_headers
func onRequestHeaders(context, count, endOfStream uint32) uint32 {
	eos := strconv.FormatBool(endOfStream != 0)
	log(logInfo, "headers "+strconv.Itoa(int(count))+" eos="+eos)
	config := configs[roots[context]]
	path, found := header(":path")
	if found && config.DenyPath != nil && path == *config.DenyPath {
		return refuse("blocked", "blocked by module")
	}
	if found && config.TrapPath != nil && path == *config.TrapPath {
		panic("trap_path")
	}
	editHeaders(config)
	if config.DenyBody != nil && endOfStream == 0 {
		return actionPause
	}
	return actionContinue
}

//go:wasmexport proxy_on_request_body
func onRequestBody(context, size, endOfStream uint32) uint32 {
	if endOfStream == 0 {
		return actionPause
	}
	body := buffer(bufferRequestBody, size)
	text := configs[roots[context]].DenyBody
	if text != nil && bytes.Contains(body, []byte(*text)) {
		return refuse("body", "body refused")
	}
	return actionContinue
}

//go:wasmexport proxy_on_done
func onDone(_ uint32) uint32 { return 1 }

//go:wasmexport proxy_on_log
func onLog(context uint32) {
	if _, stream := roots[context]; stream {
		log(logInfo, "done")
	}
}

//go:wasmexport proxy_on_delete
func onDelete(context uint32) {
	delete(configs, context)
	delete(roots, context)
}

func editHeaders(config *config) {
	if config.EchoProperty != nil {
		value, found := property(config.EchoProperty)
		if !found {
			value = "absent"
		}
		proxyAddHeader(mapRequestHeaders, "x-property", value)
	}
	for name, value := range config.Add {
		proxyAddHeader(mapRequestHeaders, name, value)
	}
	proxyRemoveHeader(mapRequestHeaders, "x-remove")
	if _, found := header("x-replace"); found {
		proxyReplaceHeader(mapRequestHeaders, "x-replace", "replaced")
	}
}

func refuse(details, body string) uint32 {
	// One header in the ABI's form: count, two sizes, name, value.
	headers := "\x01\x00\x00\x00\x08\x00\x00\x00\x02\x00\x00\x00x-module\x00go\x00"
	proxySendLocalResponse(403, details, body, headers, -1)
	return actionPause
}
