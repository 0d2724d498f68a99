package main

import "unsafe"

// The Proxy-Wasm host functions that the module needs, with the numbers of
// the ABI 0.2.1.

const (
	statusOK = 0

	logInfo  = 2
	logError = 4

	mapRequestHeaders = 0

	bufferRequestBody  = 0
	bufferPluginConfig = 7

	actionContinue = 0
	actionPause    = 1
)

//go:wasmimport env proxy_log
func proxyLog(level uint32, message string) uint32

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBuffer(kind, start, size uint32, data, length *uint32) uint32

//go:wasmimport env proxy_get_property
func proxyGetProperty(path string, data, length *uint32) uint32

//go:wasmimport env proxy_get_header_map_value
func proxyGetHeader(kind uint32, name string, data, length *uint32) uint32

//go:wasmimport env proxy_add_header_map_value
func proxyAddHeader(kind uint32, name, value string) uint32

//go:wasmimport env proxy_replace_header_map_value
func proxyReplaceHeader(kind uint32, name, value string) uint32

//go:wasmimport env proxy_remove_header_map_value
func proxyRemoveHeader(kind uint32, name string) uint32

//go:wasmimport env proxy_send_local_response
func proxySendLocalResponse(status uint32, details, body, headers string, grpcStatus int32) uint32

// Memory that the host asked for and fills. The collector does not see the
// host's pointers, so the blocks stay reachable here until they are taken.
var allocated = map[uint32][]byte{}

//go:wasmexport proxy_on_memory_allocate
func allocate(size uint32) uint32 {
	block := make([]byte, max(size, 1))
	address := uint32(uintptr(unsafe.Pointer(&block[0])))
	allocated[address] = block
	return address
}

// take gives what a host function returned, and whether it found anything.
func take(call func(data, length *uint32) uint32) ([]byte, bool) {
	var data, length uint32
	if call(&data, &length) != statusOK {
		return nil, false
	}
	block := allocated[data]
	delete(allocated, data)
	if uint32(len(block)) < length {
		length = uint32(len(block))
	}
	return block[:length], true
}

func log(level uint32, message string) {
	proxyLog(level, message)
}

func header(name string) (string, bool) {
	value, found := take(func(data, length *uint32) uint32 {
		return proxyGetHeader(mapRequestHeaders, name, data, length)
	})
	return string(value), found
}

func buffer(kind, size uint32) []byte {
	bytes, _ := take(func(data, length *uint32) uint32 {
		return proxyGetBuffer(kind, 0, size, data, length)
	})
	return bytes
}

// property takes the path's steps, which the ABI wants with zero bytes between.
func property(steps []string) (string, bool) {
	var path string
	for i, step := range steps {
		if i > 0 {
			path += "\x00"
		}
		path += step
	}
	value, found := take(func(data, length *uint32) uint32 {
		return proxyGetProperty(path, data, length)
	})
	return string(value), found
}
