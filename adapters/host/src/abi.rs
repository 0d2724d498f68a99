//! Host calls declared anew, with the status as a number.
//!
//! The SDK's status is an enum that traps at a number it does not know or does not expect, and
//! hosts do answer with such: one that keeps bounds refuses where Envoy cannot.

pub const OK: u32 = 0;
pub const NOT_FOUND: u32 = 1;
pub const BAD_ARGUMENT: u32 = 2;
pub const CAS_MISMATCH: u32 = 8;
pub const UNIMPLEMENTED: u32 = 12;

#[link(wasm_import_module = "env")]
extern "C" {
    pub fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;

    pub fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;

    pub fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;

    pub fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;

    pub fn proxy_increment_metric(id: u32, delta: i64) -> u32;

    pub fn proxy_record_metric(id: u32, value: u64) -> u32;

    pub fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) -> u32;

    pub fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
        cas: *mut u32,
    ) -> u32;

    pub fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;

    pub fn proxy_resolve_shared_queue(
        vm_id: *const u8,
        vm_id_size: usize,
        name: *const u8,
        name_size: usize,
        id: *mut u32,
    ) -> u32;

    pub fn proxy_enqueue_shared_queue(id: u32, message: *const u8, message_size: usize) -> u32;
}

/// Memory that a host call handed over.
pub struct Given {
    pointer: *mut u8,
    size: usize,
}

impl Given {
    pub const NOTHING: Self = Self {
        pointer: std::ptr::null_mut(),
        size: 0,
    };

    /// Where the host writes the pointer and the size.
    pub fn parts(&mut self) -> (*mut *mut u8, *mut usize) {
        (&mut self.pointer, &mut self.size)
    }

    /// An empty value comes without memory.
    pub fn into_bytes(self) -> Vec<u8> {
        if self.pointer.is_null() {
            return Vec::new();
        }
        // SAFETY: the host took these bytes from this module's allocator, which made them as a
        // vector of this capacity, and hands them over.
        unsafe { Vec::from_raw_parts(self.pointer, self.size, self.size) }
    }
}
