"""The files and sockets of WASI: there are none but standard output and error.

What Envoy can pretend for those two it does, and so does this host: libraries that flush or seek
them at their start go on.
"""

from collections.abc import Callable

from mixer.proxywasm.contexts import Context

SUCCESS, BADF, NOENT, NOSYS, NOTDIR, NOTSUP = 0, 8, 44, 52, 20, 58
OUTPUTS = (1, 2)
"""Standard output and error."""

Table = dict[str, tuple[str, Callable[..., int]]]


def constant(status: int) -> Callable[..., int]:
    """A function that always answers this."""

    def answer(_context: Context, *_args: int) -> int:
        return status

    return answer


def _of_an_output(context: Context, fd: int, *_args: int) -> int:
    del context
    return SUCCESS if fd in OUTPUTS else BADF


def _fd_renumber(_context: Context, fd: int, to: int) -> int:
    return NOTSUP if fd in OUTPUTS and to in OUTPUTS else BADF


def _fd_tell(context: Context, fd: int, offset: int) -> int:
    if fd not in OUTPUTS:
        return BADF
    context.vm.instance.memory.write_u64(offset, 0)
    return SUCCESS


def _nothing_at(status: int) -> Callable[..., int]:
    """A function whose last parameter is where it says how much there is: nothing."""

    def answer(context: Context, *args: int) -> int:
        context.vm.instance.memory.write_u32(args[-1], 0)
        return status

    return answer


def _sock_accept(context: Context, _fd: int, _flags: int, accepted: int) -> int:
    context.vm.instance.memory.write_u64(accepted, 0)  # eight bytes, as in Envoy
    return NOTSUP


def _sock_recv(context: Context, *args: int) -> int:
    memory = context.vm.instance.memory
    size, flags = args[-2:]
    memory.write_u32(size, 0)
    memory.write(flags, bytes(2))
    return NOTSUP


FILES: Table = {
    "fd_prestat_get": ("ii", constant(BADF)),
    "fd_filestat_get": ("ii", constant(BADF)),
    "fd_prestat_dir_name": ("iii", constant(NOSYS)),
    "fd_read": ("iiii", constant(NOSYS)),
    "fd_pread": ("iiiLi", constant(NOSYS)),
    "fd_fdstat_set_flags": ("ii", constant(NOSYS)),
    "fd_close": ("i", constant(SUCCESS)),
    "fd_seek": ("iLii", constant(SUCCESS)),
    "fd_advise": ("iLLi", constant(SUCCESS)),
    "fd_allocate": ("iLL", _of_an_output),
    "fd_datasync": ("i", _of_an_output),
    "fd_sync": ("i", _of_an_output),
    "fd_fdstat_set_rights": ("iLL", _of_an_output),
    "fd_filestat_set_size": ("iL", _of_an_output),
    "fd_filestat_set_times": ("iLLi", _of_an_output),
    "fd_tell": ("ii", _fd_tell),
    "fd_renumber": ("ii", _fd_renumber),
    "fd_readdir": ("iiiLi", _nothing_at(NOTDIR)),
    "path_open": ("iiiiiLLii", constant(NOENT)),
    "path_filestat_get": ("iiiii", constant(NOTSUP)),
    "path_create_directory": ("iii", constant(NOTSUP)),
    "path_filestat_set_times": ("iiiiLLi", constant(NOTSUP)),
    "path_link": ("iiiiiii", constant(NOTSUP)),
    "path_readlink": ("iiiiii", _nothing_at(NOTSUP)),
    "path_remove_directory": ("iii", constant(NOTSUP)),
    "path_rename": ("iiiiii", constant(NOTSUP)),
    "path_symlink": ("iiiii", constant(NOTSUP)),
    "path_unlink_file": ("iii", constant(NOTSUP)),
    "proc_raise": ("i", constant(NOTSUP)),
    "sock_accept": ("iii", _sock_accept),
    "sock_recv": ("iiiiii", _sock_recv),
    "sock_send": ("iiiii", _nothing_at(NOTSUP)),
    "sock_shutdown": ("ii", constant(NOTSUP)),
}
"""Each with its parameters, as `mixer.proxywasm.hostcalls.signature` takes them."""
