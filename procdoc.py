#!/usr/bin/env python3
"""procdoc: why does this process hang? The answer from /proc alone.

    python3 procdoc.py 45678                 diagnose one process
    python3 - 45678 < procdoc.py             the same, with nothing written to the target's disk
    python3 procdoc.py payment               by name
    python3 procdoc.py [scan]                every visible process, the suspicious ones first
    python3 procdoc.py system                the host
    python3 procdoc.py same PID PID...       which of these share a container
    python3 procdoc.py recover PID FD|exe -o OUT     save a file that was deleted while still open
    python3 procdoc.py capture PID -o SNAP.tar.gz    save what a diagnosis reads
    python3 procdoc.py capture-script        a sh script that captures where there is no Python
    python3 procdoc.py explain WORD...       a /proc file, state, wchan, system call, signal mask, errno, finding code

One file, standard library only, Python 3.6 or later. What it promises: it only reads
(no signal, no ptrace, nothing written but what recover and capture are told to write); it
never waits for a hung process longer than twice --timeout; what it could not read it says,
and never takes for zero; what other processes wrote reaches the terminal escaped; secrets
in command lines and environments are masked.

The map, from top to bottom; each room uses only those above it (grep -n '^# ROOM'):
    SHAPES         the records that all rooms pass around
    TABLES         what is known of Linux: calls, wait channels, signals, finding codes
    SAFE           escaping and masking of what other processes wrote
    FILES          one block per /proc file: a pure parser
    SOCKETS        net/*, fdinfo, locks, mounts; sock_diag; who else holds a pipe or socket
    HOST           host files: load, memory, pressure, interrupts; sched, io, limits
    CGROUPS        control groups: where their files are, what they say, the rules about them
    LIMITS AND SIGNALS
    READER         the only code that opens, lists or reads links of a tree
    TARGET MEMORY  mappings, ELF files and words of /proc/PID/mem
    PYTHON         stacks, GIL, locks and asyncio tasks of a CPython process
    JAVA           monitors, locks and methods of a HotSpot JVM
    LOCKS          futex words: what they are, who owns them, who waits for whom
    CALLS          registers and wait channels -> what a thread waits in
    COLLECT        which files, in which order -> one Snapshot
    LINKS          joins: thread -> descriptor -> the other end; lock -> owner
    RULES          one function per known way to hang
    VERDICT        run the rules, rank
    REPORT         text and JSON
    SYSTEM, SAME, EXPLAIN, CAPTURE SCRIPT, RECOVER   what those commands need
    COMMANDS       the command line

At 2 AM: a wait channel or system call is not known -> a row in TABLES. A new kernel prints
a file otherwise -> its block in FILES. A secret gets through -> a word in SAFE. A verdict
is wrong -> its rule_* in RULES, or its place in RANK. All rooms stand in one string, whose
comment says why; for an editor the file is plain Python without two lines of it.
"""

import collections
import errno
import operator
import os
import re
import struct
import sys
import time
from typing import NamedTuple, Optional

VERSION = '1.0'


class Door:
    """A function or class of the rooms until its first use. Then it is compiled in its own place, and
    this only passes on the calls of those who took it before."""

    def __init__(self, name, start, end):
        self.at, self.real = (name, start, end), None

    def opened(self):
        """What stands behind it."""
        if self.real is None:
            name, start, end = self.at
            run_rooms(start, end)
            self.real = globals()[name]
        return self.real

    def __call__(self, *args, **kwargs):
        return self.opened()(*args, **kwargs)

    def __getattr__(self, name):
        return getattr(self.opened(), name)

    def __instancecheck__(self, it):
        return isinstance(it, self.opened())


def run_rooms(start=0, end=None):
    """Compile and run a part of ROOMS. Its lines get the file's numbers where somebody will see them: numbering takes time."""
    numbered = start == 0 or os.environ.get('PROCDOC_DEBUG')
    above = '\n' * (LINES_ABOVE + ROOMS.count('\n', 0, start)) if numbered else ''
    exec(compile(above + ROOMS[start:end], globals().get('__file__', '<stdin>'), 'exec'), globals())


def furnish():
    """Run what the rooms say at their top level, with a Door in place of each function and class
    (but exceptions and the decorated)."""
    heads = re.compile(r'(?:#.*\n|\n)*(?:def (\w+)\(|class (\w+)(?:\(NamedTuple\))?:)')
    starts = [0] + [gap.end() for gap in re.finditer(r'\n\n\n(?=\S)', ROOMS)]
    for start, end in zip(starts, starts[1:] + [len(ROOMS)]):
        head = heads.match(ROOMS, start)
        if head:
            name = head.group(1) or head.group(2)
            globals()[name] = Door(name, start, end)
        else:
            run_rooms(start, end)


# Python compiles the whole of a file before it runs the first line. For one of this size that takes 60 MB
# and a fifth of a second: too much in a container that is near its limit. So the rooms stand in one string,
# and a function is compiled when it is first called. It is plain Python all the same: without the line ROOMS =
# and its twin at the end the file runs as it stands, only heavier, and whoever imports it gets it so.
# Two rules, which a test holds: two blank lines between whatever stands at the top level, and never three
# single quotes.
LINES_ABOVE = sys._getframe().f_lineno
ROOMS = r'''


# ROOM SHAPES ==================================================================
# The records that every other room passes around, and the two words that read
# bytes safely. No behaviour but small properties. None means unknown (a Gap says why); '', 0 and () mean looked,
# and empty. Units are in names; pid is a thread group, tid a thread.
# To add one: a NamedTuple with a default for every field that a kernel may lack.


def text(data):
    """Bytes of the target as str; nothing is lost, printing escapes later."""
    return data.decode('utf-8', 'surrogateescape')


def number(word, base=10):
    """An int, or None where word is none. A hostile file may hold 400 digits."""
    if word is None or len(word) > 40:
        return None
    try:
        return int(word, base)
    except ValueError:
        return None


class Gap(NamedTuple):
    """Something that could not be read. error is an errno name, or TIMEOUT (the
    read blocked), ABSENT (not in the snapshot), CUT (longer than the limit)."""
    path: str
    error: str


class Stat(NamedTuple):
    """/proc/PID/stat, the fields that are used; ticks are USER_HZ, rss is pages."""
    pid: int
    comm: str
    state: str
    ppid: Optional[int] = None
    pgrp: Optional[int] = None
    session: Optional[int] = None
    tty_nr: Optional[int] = None
    flags: Optional[int] = None
    minflt: Optional[int] = None
    majflt: Optional[int] = None
    utime: Optional[int] = None
    stime: Optional[int] = None
    cutime: Optional[int] = None
    cstime: Optional[int] = None
    priority: Optional[int] = None
    nice: Optional[int] = None
    num_threads: Optional[int] = None
    starttime: Optional[int] = None
    vsize: Optional[int] = None
    rss: Optional[int] = None
    processor: Optional[int] = None
    rt_priority: Optional[int] = None
    policy: Optional[int] = None
    blkio_ticks: Optional[int] = None
    exit_code: Optional[int] = None

    @property
    def is_kernel_thread(self):
        """PF_KTHREAD in field 9."""
        return bool(self.flags and self.flags & 0x00200000)

    @property
    def is_io_worker(self):
        """PF_IO_WORKER: an io_uring worker, made by the kernel."""
        return bool(self.flags and self.flags & 0x10)

    @property
    def ticks(self):
        """CPU time used so far, user and system together."""
        if self.utime is None or self.stime is None:
            return None
        return self.utime + self.stime


class Syscall(NamedTuple):
    """/proc/PID/syscall. kind: running, call, outside (-1 SP PC: blocked in a page
    fault or stopped outside of a call), none (a zombie; a kernel thread)."""
    kind: str
    nr: Optional[int] = None
    args: tuple = ()
    sp: int = 0
    pc: int = 0


class Mapping(NamedTuple):
    """One line of /proc/PID/maps; path '' is anonymous, ' (deleted)' is kept."""
    start: int
    end: int
    perms: str
    offset: int
    dev: str
    inode: int
    path: str


class Look(NamedTuple):
    """What one later look saw of a thread: the moving figures only."""
    state: str
    utime: Optional[int] = None
    stime: Optional[int] = None
    majflt: Optional[int] = None


class Thread(NamedTuple):
    """One thread as the first look saw it; last_* is the last look's."""
    tid: int
    stat: Optional[Stat] = None
    status: Optional[dict] = None
    wchan: Optional[str] = None
    syscall: Optional[Syscall] = None
    stack: Optional[tuple] = None
    schedstat: Optional[tuple] = None
    exec_start_ms: Optional[float] = None
    looks: tuple = ()
    last_stat: Optional[Stat] = None
    last_status: Optional[dict] = None
    last_wchan: Optional[str] = None
    last_syscall: Optional[Syscall] = None
    last_schedstat: Optional[tuple] = None


class Fd(NamedTuple):
    """One descriptor. info is fdinfo, parsed; socket is its row of net/*."""
    fd: int
    target: Optional[str]
    kind: str
    inode: Optional[int] = None
    info: Optional[dict] = None
    socket: Optional[tuple] = None

    @property
    def flags(self):
        """Open flags of fdinfo, None where it was not read."""
        return self.info['flags'] if self.info else None

    @property
    def deleted(self):
        """The name is gone. memfd and shm always say so, and mean nothing by it."""
        return bool(self.kind in ('file', 'dir', 'deleted')
                    and self.target and self.target.endswith(' (deleted)'))


class Call(NamedTuple):
    """A blocked system call, decoded: the name and the words to print."""
    nr: int
    name: Optional[str]
    args: tuple
    text: str
    fd: Optional[int] = None
    fds: tuple = ()
    timeout_s: Optional[float] = None
    details: Optional[dict] = None


class Wait(NamedTuple):
    """What a thread waits in. kind is of the vocabulary of WCHANS; by says what
    told: syscall, wchan, stack or state; name is the wait channel or call."""
    kind: str
    by: str = ''
    name: str = ''
    call: Optional[Call] = None
    fd: Optional[int] = None
    sure: bool = True


class Evidence(NamedTuple):
    """One line of proof and the file that it came from."""
    text: str
    source: str


class Finding(NamedTuple):
    """What is wrong, how sure, why, and what to do next."""
    code: str
    severity: str
    confidence: str
    summary: str
    evidence: tuple = ()
    next: tuple = ()
    tids: tuple = ()
    pids: tuple = ()
    rank: int = 0


# ROOM TABLES ================================================================
# What is known of Linux, as data. To add a fact, add a row.
#   system calls      SYSCALLS (numbers), SIGNATURES (arguments, how each blocks), FLAG_SETS and VALUE_NAMES (their words)
#   wait channels     WCHANS
#   states, signals   STATES, SIGNALS          errors  ERRNOS
#   sockets           TCP_STATE_ROWS, TCP_TIMER_WORDS, UNIX_STATES, UNIX_TYPE_WORDS
#   process settings  SCHED_POLICIES, RLIMIT_WORDS, NAMESPACE_ROWS, TASK_FLAGS
#   the map of /proc  PROC_FILES, PROC_SYSTEM, STATUS_LINES, STAT_LINES, IO_FIELDS, SCHEDSTAT_FIELDS
#   finding codes     CODES
# Tables written as text are split at first use: most runs need a few rows of them.

# Numbers of system calls, Linux 7.3 (arch/*/syscalls/*.tbl). A bare number is a jump: "335 uretprobe uprobe" gives 335
# and 336. From 424 on one list serves every architecture; 403 to 423 are the calls with 64-bit time of the 32-bit ones.
_CALLS_X86_64 = """
    read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction
    rt_sigprocmask rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select sched_yield
    mremap msync mincore madvise shmget shmat shmctl dup dup2 pause nanosleep getitimer alarm setitimer
    getpid sendfile socket connect accept sendto recvfrom sendmsg recvmsg shutdown bind listen
    getsockname getpeername socketpair setsockopt getsockopt clone fork vfork execve exit wait4 kill
    uname semget semop semctl shmdt msgget msgsnd msgrcv msgctl fcntl flock fsync fdatasync truncate
    ftruncate getdents getcwd chdir fchdir rename mkdir rmdir creat link unlink symlink readlink chmod
    fchmod chown fchown lchown umask gettimeofday getrlimit getrusage sysinfo times ptrace getuid syslog
    getgid setuid setgid geteuid getegid setpgid getppid getpgrp setsid setreuid setregid getgroups
    setgroups setresuid getresuid setresgid getresgid getpgid setfsuid setfsgid getsid capget capset
    rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend sigaltstack utime mknod uselib
    personality ustat statfs fstatfs sysfs getpriority setpriority sched_setparam sched_getparam
    sched_setscheduler sched_getscheduler sched_get_priority_max sched_get_priority_min
    sched_rr_get_interval mlock munlock mlockall munlockall vhangup modify_ldt pivot_root _sysctl prctl
    arch_prctl adjtimex setrlimit chroot sync acct settimeofday mount umount2 swapon swapoff reboot
    sethostname setdomainname iopl ioperm create_module init_module delete_module get_kernel_syms
    query_module quotactl nfsservctl getpmsg putpmsg afs_syscall tuxcall security gettid readahead
    setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
    removexattr lremovexattr fremovexattr tkill time futex sched_setaffinity sched_getaffinity
    set_thread_area io_setup io_destroy io_getevents io_submit io_cancel get_thread_area lookup_dcookie
    epoll_create epoll_ctl_old epoll_wait_old remap_file_pages getdents64 set_tid_address
    restart_syscall semtimedop fadvise64 timer_create timer_settime timer_gettime timer_getoverrun
    timer_delete clock_settime clock_gettime clock_getres clock_nanosleep exit_group epoll_wait
    epoll_ctl tgkill utimes vserver mbind set_mempolicy get_mempolicy mq_open mq_unlink mq_timedsend
    mq_timedreceive mq_notify mq_getsetattr kexec_load waitid add_key request_key keyctl ioprio_set
    ioprio_get inotify_init inotify_add_watch inotify_rm_watch migrate_pages openat mkdirat mknodat
    fchownat futimesat newfstatat unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat
    pselect6 ppoll unshare set_robust_list get_robust_list splice tee sync_file_range vmsplice
    move_pages utimensat epoll_pwait signalfd timerfd_create eventfd fallocate timerfd_settime
    timerfd_gettime accept4 signalfd4 eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev
    rt_tgsigqueueinfo perf_event_open recvmmsg fanotify_init fanotify_mark prlimit64 name_to_handle_at
    open_by_handle_at clock_adjtime syncfs sendmmsg setns getcpu process_vm_readv process_vm_writev kcmp
    finit_module sched_setattr sched_getattr renameat2 seccomp getrandom memfd_create kexec_file_load
    bpf execveat userfaultfd membarrier mlock2 copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc
    pkey_free statx io_pgetevents rseq uretprobe uprobe 447 memfd_secret
"""

_CALLS_AARCH64 = """
    io_setup io_destroy io_submit io_cancel io_getevents setxattr lsetxattr fsetxattr getxattr lgetxattr
    fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr getcwd
    lookup_dcookie eventfd2 epoll_create1 epoll_ctl epoll_pwait dup dup3 fcntl inotify_init1
    inotify_add_watch inotify_rm_watch ioctl ioprio_set ioprio_get flock mknodat mkdirat unlinkat
    symlinkat linkat renameat umount2 mount pivot_root nfsservctl statfs fstatfs truncate ftruncate
    fallocate faccessat chdir fchdir chroot fchmod fchmodat fchownat fchown openat close vhangup pipe2
    quotactl getdents64 lseek read write readv writev pread64 pwrite64 preadv pwritev sendfile pselect6
    ppoll signalfd4 vmsplice splice tee readlinkat newfstatat fstat sync fsync fdatasync sync_file_range
    timerfd_create timerfd_settime timerfd_gettime utimensat acct capget capset personality exit
    exit_group waitid set_tid_address unshare futex set_robust_list get_robust_list nanosleep getitimer
    setitimer kexec_load init_module delete_module timer_create timer_gettime timer_getoverrun
    timer_settime timer_delete clock_settime clock_gettime clock_getres clock_nanosleep syslog ptrace
    sched_setparam sched_setscheduler sched_getscheduler sched_getparam sched_setaffinity
    sched_getaffinity sched_yield sched_get_priority_max sched_get_priority_min sched_rr_get_interval
    restart_syscall kill tkill tgkill sigaltstack rt_sigsuspend rt_sigaction rt_sigprocmask
    rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigreturn setpriority getpriority reboot setregid
    setgid setreuid setuid setresuid getresuid setresgid getresgid setfsuid setfsgid times setpgid
    getpgid getsid setsid getgroups setgroups uname sethostname setdomainname getrlimit setrlimit
    getrusage umask prctl getcpu gettimeofday settimeofday adjtimex getpid getppid getuid geteuid getgid
    getegid gettid sysinfo mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr msgget
    msgctl msgrcv msgsnd semget semctl semtimedop semop shmget shmctl shmat shmdt socket socketpair bind
    listen accept connect getsockname getpeername sendto recvfrom setsockopt getsockopt shutdown sendmsg
    recvmsg readahead brk munmap mremap add_key request_key keyctl clone execve mmap fadvise64 swapon
    swapoff mprotect msync mlock munlock mlockall munlockall mincore madvise remap_file_pages mbind
    get_mempolicy set_mempolicy migrate_pages move_pages rt_tgsigqueueinfo perf_event_open accept4
    recvmmsg 260 wait4 prlimit64 fanotify_init fanotify_mark name_to_handle_at open_by_handle_at
    clock_adjtime syncfs setns sendmmsg process_vm_readv process_vm_writev kcmp finit_module
    sched_setattr sched_getattr renameat2 seccomp getrandom memfd_create bpf execveat userfaultfd
    membarrier mlock2 copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc pkey_free statx
    io_pgetevents rseq kexec_file_load 447 memfd_secret
"""

_CALLS_I386 = """
    restart_syscall exit fork read write open close waitpid creat link unlink execve chdir time mknod
    chmod lchown break oldstat lseek getpid mount umount setuid getuid stime ptrace alarm oldfstat pause
    utime stty gtty access nice ftime sync kill rename mkdir rmdir dup pipe times prof brk setgid getgid
    signal geteuid getegid acct umount2 lock ioctl fcntl mpx setpgid ulimit oldolduname umask chroot
    ustat dup2 getppid getpgrp setsid sigaction sgetmask ssetmask setreuid setregid sigsuspend
    sigpending sethostname setrlimit getrlimit getrusage gettimeofday settimeofday getgroups setgroups
    select symlink oldlstat readlink uselib swapon reboot readdir mmap munmap truncate ftruncate fchmod
    fchown getpriority setpriority profil statfs fstatfs ioperm socketcall syslog setitimer getitimer
    stat lstat fstat olduname iopl vhangup idle vm86old wait4 swapoff sysinfo ipc fsync sigreturn clone
    setdomainname uname modify_ldt adjtimex mprotect sigprocmask create_module init_module delete_module
    get_kernel_syms quotactl getpgid fchdir bdflush sysfs personality afs_syscall setfsuid setfsgid
    _llseek getdents _newselect flock msync readv writev getsid fdatasync _sysctl mlock munlock mlockall
    munlockall sched_setparam sched_getparam sched_setscheduler sched_getscheduler sched_yield
    sched_get_priority_max sched_get_priority_min sched_rr_get_interval nanosleep mremap setresuid
    getresuid vm86 query_module poll nfsservctl setresgid getresgid prctl rt_sigreturn rt_sigaction
    rt_sigprocmask rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend pread64 pwrite64 chown
    getcwd capget capset sigaltstack sendfile getpmsg putpmsg vfork ugetrlimit mmap2 truncate64
    ftruncate64 stat64 lstat64 fstat64 lchown32 getuid32 getgid32 geteuid32 getegid32 setreuid32
    setregid32 getgroups32 setgroups32 fchown32 setresuid32 getresuid32 setresgid32 getresgid32 chown32
    setuid32 setgid32 setfsuid32 setfsgid32 pivot_root mincore madvise getdents64 fcntl64 224 gettid
    readahead setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
    removexattr lremovexattr fremovexattr tkill sendfile64 futex sched_setaffinity sched_getaffinity
    set_thread_area get_thread_area io_setup io_destroy io_getevents io_submit io_cancel fadvise64 252
    exit_group lookup_dcookie epoll_create epoll_ctl epoll_wait remap_file_pages set_tid_address
    timer_create timer_settime timer_gettime timer_getoverrun timer_delete clock_settime clock_gettime
    clock_getres clock_nanosleep statfs64 fstatfs64 tgkill utimes fadvise64_64 vserver mbind
    get_mempolicy set_mempolicy mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
    kexec_load waitid 286 add_key request_key keyctl ioprio_set ioprio_get inotify_init
    inotify_add_watch inotify_rm_watch migrate_pages openat mkdirat mknodat fchownat futimesat fstatat64
    unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat pselect6 ppoll unshare
    set_robust_list get_robust_list splice sync_file_range tee vmsplice move_pages getcpu epoll_pwait
    utimensat signalfd timerfd_create eventfd fallocate timerfd_settime timerfd_gettime signalfd4
    eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev rt_tgsigqueueinfo perf_event_open
    recvmmsg fanotify_init fanotify_mark prlimit64 name_to_handle_at open_by_handle_at clock_adjtime
    syncfs sendmmsg setns process_vm_readv process_vm_writev kcmp finit_module sched_setattr
    sched_getattr renameat2 seccomp getrandom memfd_create bpf execveat socket socketpair bind connect
    listen accept4 getsockopt setsockopt getsockname getpeername sendto sendmsg recvfrom recvmsg
    shutdown userfaultfd membarrier mlock2 copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc
    pkey_free statx arch_prctl io_pgetevents rseq 393 semget semctl shmget shmctl shmat shmdt msgget
    msgsnd msgrcv msgctl 447 memfd_secret
"""

_CALLS_ARM = """
    restart_syscall exit fork read write open close 8 creat link unlink execve chdir 14 mknod chmod
    lchown 19 lseek getpid mount 23 setuid getuid 26 ptrace 29 pause 33 access nice 36 sync kill rename
    mkdir rmdir dup pipe times 45 brk setgid getgid 49 geteuid getegid acct umount2 54 ioctl fcntl 57
    setpgid 60 umask chroot ustat dup2 getppid getpgrp setsid sigaction 70 setreuid setregid sigsuspend
    sigpending sethostname setrlimit 77 getrusage gettimeofday settimeofday getgroups setgroups 83
    symlink 85 readlink uselib swapon reboot 91 munmap truncate ftruncate fchmod fchown getpriority
    setpriority 99 statfs fstatfs 103 syslog setitimer getitimer stat lstat fstat 111 vhangup 114 wait4
    swapoff sysinfo 118 fsync sigreturn clone setdomainname uname 124 adjtimex mprotect sigprocmask 128
    init_module delete_module 131 quotactl getpgid fchdir bdflush sysfs personality 138 setfsuid
    setfsgid _llseek getdents _newselect flock msync readv writev getsid fdatasync _sysctl mlock munlock
    mlockall munlockall sched_setparam sched_getparam sched_setscheduler sched_getscheduler sched_yield
    sched_get_priority_max sched_get_priority_min sched_rr_get_interval nanosleep mremap setresuid
    getresuid 168 poll nfsservctl setresgid getresgid prctl rt_sigreturn rt_sigaction rt_sigprocmask
    rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend pread64 pwrite64 chown getcwd capget
    capset sigaltstack sendfile 190 vfork ugetrlimit mmap2 truncate64 ftruncate64 stat64 lstat64 fstat64
    lchown32 getuid32 getgid32 geteuid32 getegid32 setreuid32 setregid32 getgroups32 setgroups32
    fchown32 setresuid32 getresuid32 setresgid32 getresgid32 chown32 setuid32 setgid32 setfsuid32
    setfsgid32 getdents64 pivot_root mincore madvise fcntl64 224 gettid readahead setxattr lsetxattr
    fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr
    fremovexattr tkill sendfile64 futex sched_setaffinity sched_getaffinity io_setup io_destroy
    io_getevents io_submit io_cancel exit_group lookup_dcookie epoll_create epoll_ctl epoll_wait
    remap_file_pages 256 set_tid_address timer_create timer_settime timer_gettime timer_getoverrun
    timer_delete clock_settime clock_gettime clock_getres clock_nanosleep statfs64 fstatfs64 tgkill
    utimes arm_fadvise64_64 pciconfig_iobase pciconfig_read pciconfig_write mq_open mq_unlink
    mq_timedsend mq_timedreceive mq_notify mq_getsetattr waitid socket bind connect listen accept
    getsockname getpeername socketpair send sendto recv recvfrom shutdown setsockopt getsockopt sendmsg
    recvmsg semop semget semctl msgsnd msgrcv msgget msgctl shmat shmdt shmget shmctl add_key
    request_key keyctl semtimedop vserver ioprio_set ioprio_get inotify_init inotify_add_watch
    inotify_rm_watch mbind get_mempolicy set_mempolicy openat mkdirat mknodat fchownat futimesat
    fstatat64 unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat pselect6 ppoll unshare
    set_robust_list get_robust_list splice arm_sync_file_range tee vmsplice move_pages getcpu
    epoll_pwait kexec_load utimensat signalfd timerfd_create eventfd fallocate timerfd_settime
    timerfd_gettime signalfd4 eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev
    rt_tgsigqueueinfo perf_event_open recvmmsg accept4 fanotify_init fanotify_mark prlimit64
    name_to_handle_at open_by_handle_at clock_adjtime syncfs sendmmsg setns process_vm_readv
    process_vm_writev kcmp finit_module sched_setattr sched_getattr renameat2 seccomp getrandom
    memfd_create bpf execveat userfaultfd membarrier mlock2 copy_file_range preadv2 pwritev2
    pkey_mprotect pkey_alloc pkey_free statx rseq io_pgetevents migrate_pages kexec_file_load 983041
    breakpoint cacheflush usr26 usr32 set_tls get_tls
"""

_CALLS_X32 = """
    512 rt_sigaction rt_sigreturn ioctl readv writev recvfrom sendmsg recvmsg execve ptrace
    rt_sigpending rt_sigtimedwait rt_sigqueueinfo sigaltstack timer_create mq_notify kexec_load waitid
    set_robust_list get_robust_list vmsplice move_pages preadv pwritev rt_tgsigqueueinfo recvmmsg
    sendmmsg process_vm_readv process_vm_writev setsockopt getsockopt io_setup io_submit execveat
    preadv2 pwritev2
"""

_CALLS_TIME64 = """
    403 clock_gettime64 clock_settime64 clock_adjtime64 clock_getres_time64 clock_nanosleep_time64
    timer_gettime64 timer_settime64 timerfd_gettime64 timerfd_settime64 utimensat_time64 pselect6_time64
    ppoll_time64 416 io_pgetevents_time64 recvmmsg_time64 mq_timedsend_time64 mq_timedreceive_time64
    semtimedop_time64 rt_sigtimedwait_time64 futex_time64 sched_rr_get_interval_time64
"""

_CALLS_NEW = """
    424 pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen
    fsconfig fsmount fspick pidfd_open clone3 close_range openat2 pidfd_getfd faccessat2 process_madvise
    epoll_pwait2 mount_setattr quotactl_fd landlock_create_ruleset landlock_add_rule
    landlock_restrict_self 448 process_mrelease futex_waitv set_mempolicy_home_node cachestat fchmodat2
    map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount lsm_get_self_attr
    lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat
    open_tree_attr file_getattr file_setattr listns rseq_slice_yield fchroot
"""


# architecture: the blocks that make up its table. x32 is x86_64 with its own numbers from 512 on.
SYSCALLS = {
    'x86_64': (_CALLS_X86_64, _CALLS_NEW),
    'aarch64': (_CALLS_AARCH64, _CALLS_NEW),
    'i386': (_CALLS_I386, _CALLS_TIME64, _CALLS_NEW),
    'arm': (_CALLS_ARM, _CALLS_TIME64, _CALLS_NEW),
    'x32': (_CALLS_X86_64, _CALLS_NEW, _CALLS_X32),
}
ARCHITECTURES = ('x86_64', 'aarch64', 'i386', 'arm')
ARCH_ALIASES = {
    'amd64': 'x86_64', 'x86-64': 'x86_64', 'x64': 'x86_64', 'arm64': 'aarch64', 'aarch64_be': 'aarch64',
    'i486': 'i386', 'i586': 'i386', 'i686': 'i386', 'x86': 'i386', 'ia32': 'i386',
    'armv5tel': 'arm', 'armv6l': 'arm', 'armv7l': 'arm', 'armv7': 'arm', 'armv8l': 'arm', 'armhf': 'arm', 'armel': 'arm',
    'arm32': 'arm',
}
X32_BIT = 0x40000000        # an x32 task of an x86_64 kernel shows this bit in its call numbers
_names, _numbers = {}, {}


def arch_name(word):
    """The name that the tables use for an architecture as uname or a user spells it; the word itself when it is unknown."""
    if word in ARCHITECTURES:
        return word
    word = (word or '').strip().lower()
    return ARCH_ALIASES.get(word, word)


def _split_calls(blocks):
    """{number: name} of blocks in which a bare number is a jump."""
    table, following = {}, 0
    for word in ' '.join(blocks).split():
        if word.isdigit():
            following = int(word)
        else:
            table[following] = word
            following += 1
    return table


def syscalls(arch):
    """{number: name} of an architecture, split once; empty when the architecture is not known."""
    if arch not in _names:
        _names[arch] = _split_calls(SYSCALLS.get(arch_name(arch), ()))
        _numbers[arch] = {name: number for number, name in _names[arch].items()}
    return _names[arch]


def _x32_number(arch, nr):
    """(table, number in it): an x32 call is looked up without its bit, and its own numbers only with it."""
    if isinstance(nr, int) and nr & X32_BIT and nr > 0 and arch_name(arch) in ('x86_64', 'x32'):
        return 'x32', nr & ~X32_BIT
    return arch, nr


def syscall_name(arch, nr):
    """The name of system call `nr`, or None: a wrong name is worse than a number."""
    name = (_names.get(arch) or syscalls(arch)).get(nr)
    if name is None:
        arch, nr = _x32_number(arch, nr)
        name = syscalls(arch).get(nr)
    return name


def syscall_number(arch, name):
    """The number of the system call `name`, or None where the architecture has no such call."""
    arch = arch_name(arch)
    syscalls(arch)
    return _numbers[arch].get(name)


# Arguments of the calls that a stuck process is seen in. A row: the calls that share it (name@arch where one architecture
# differs), how the call waits ('-' when its descriptor, its file or its arguments decide), the arguments as name:type.
# Types: a key of FLAG_SETS or VALUE_NAMES, or one that _plain_value or _argument names. Only a call's own arguments are
# listed: the other registers hold what happened to be in them. `skip` is a register that means nothing to a reader.
SIGNATURES = """
read,write - fd:fd buf:ptr count:size
pread64,pwrite64 - fd:fd buf:ptr count:size pos:off
readv,writev - fd:fd iov:ptr iovcnt:size
preadv,pwritev - fd:fd iov:ptr iovcnt:size pos:off2
preadv2,pwritev2 - fd:fd iov:ptr iovcnt:size pos:off2 flags:rwf
open - pathname:path flags:oflags mode:mode
creat - pathname:path mode:oct
openat - dirfd:dirfd pathname:path flags:oflags mode:mode
openat2 - dirfd:dirfd pathname:path how:ptr size:size
open_by_handle_at - mount_fd:dirfd handle:ptr flags:oflags
name_to_handle_at - dirfd:dirfd pathname:path handle:ptr mount_id:ptr flags:at
close - fd:fd
close_range - first:uint last:uint flags:hex
lseek - fd:fd offset:long whence:whence
_llseek - fd:fd offset_high:hex offset_low:hex result:ptr whence:whence
dup - fd:fd
dup2 - oldfd:fd newfd:fd
dup3 - oldfd:fd newfd:fd flags:oflags
pipe - pipefd:ptr
pipe2 - pipefd:ptr flags:oflags
fcntl,fcntl64 - fd:fd cmd:fcntlcmd arg:fcntlarg
flock file-lock fd:fd operation:flockop
ioctl - fd:fd request:ioctl arg:hexword
splice - fd_in:fd off_in:ptr fd_out:fd off_out:ptr len:size flags:splice
tee - fd_in:fd fd_out:fd len:size flags:splice
vmsplice - fd:fd iov:ptr nr_segs:size flags:splice
sendfile,sendfile64 - out_fd:fd in_fd:fd offset:ptr count:size
copy_file_range - fd_in:fd off_in:ptr fd_out:fd off_out:ptr len:size flags:hex
fsync,fdatasync disk fd:fd
sync disk
syncfs disk fd:fd
sync_file_range disk fd:fd offset:off nbytes:off flags:syncrange
arm_sync_file_range disk fd:fd flags:syncrange offset:off nbytes:off
msync disk addr:ptr length:size flags:msync
truncate - path:path length:long
truncate64 - path:path length:off
ftruncate - fd:fd length:long
ftruncate64 - fd:fd length:off
fallocate - fd:fd mode:fallocate offset:off len:off
fadvise64@x86_64,fadvise64@aarch64 - fd:fd offset:off len:off advice:int
fadvise64@i386 - fd:fd offset:off len:size advice:int
fadvise64_64 - fd:fd offset:off len:off advice:int
arm_fadvise64_64 - fd:fd advice:int offset:off len:off
readahead disk fd:fd offset:off count:size
stat,lstat,stat64,lstat64,oldstat,oldlstat - pathname:path statbuf:ptr
fstat,fstat64,oldfstat - fd:fd statbuf:ptr
newfstatat,fstatat64 - dirfd:dirfd pathname:path statbuf:ptr flags:at
statx - dirfd:dirfd pathname:path flags:at mask:hex buf:ptr
statfs - path:path buf:ptr
fstatfs - fd:fd buf:ptr
statfs64 - path:path size:size buf:ptr
fstatfs64 - fd:fd size:size buf:ptr
access - pathname:path mode:access
faccessat - dirfd:dirfd pathname:path mode:access
faccessat2 - dirfd:dirfd pathname:path mode:access flags:faccessat
readlink - pathname:path buf:ptr bufsiz:size
readlinkat - dirfd:dirfd pathname:path buf:ptr bufsiz:size
getdents,getdents64 - fd:fd dirp:ptr count:uint
getcwd - buf:ptr size:size
chdir,chroot - path:path
fchdir - fd:fd
unlink,rmdir - pathname:path
unlinkat - dirfd:dirfd pathname:path flags:unlinkat
rename,link - oldpath:path newpath:path
renameat - olddirfd:dirfd oldpath:path newdirfd:dirfd newpath:path
renameat2 - olddirfd:dirfd oldpath:path newdirfd:dirfd newpath:path flags:rename
linkat - olddirfd:dirfd oldpath:path newdirfd:dirfd newpath:path flags:at
symlink - target:path linkpath:path
symlinkat - target:path newdirfd:dirfd linkpath:path
mkdir,chmod - pathname:path mode:oct
mkdirat,fchmodat - dirfd:dirfd pathname:path mode:oct
fchmodat2 - dirfd:dirfd pathname:path mode:oct flags:at
fchmod - fd:fd mode:oct
mknod - pathname:path mode:oct dev:hex
mknodat - dirfd:dirfd pathname:path mode:oct dev:hex
chown,lchown,chown32,lchown32 - pathname:path owner:int group:int
fchown,fchown32 - fd:fd owner:int group:int
fchownat - dirfd:dirfd pathname:path owner:int group:int flags:at
utime,utimes - pathname:path times:ptr
futimesat - dirfd:dirfd pathname:path times:ptr
utimensat,utimensat_time64 - dirfd:dirfd pathname:path times:ptr flags:at
getxattr,lgetxattr - path:path name:path value:ptr size:size
fgetxattr - fd:fd name:path value:ptr size:size
setxattr,lsetxattr - path:path name:path value:ptr size:size flags:hex
fsetxattr - fd:fd name:path value:ptr size:size flags:hex
listxattr,llistxattr - path:path list:ptr size:size
flistxattr - fd:fd list:ptr size:size
removexattr,lremovexattr - path:path name:path
fremovexattr - fd:fd name:path
socket,socketpair - domain:family type:socktype protocol:int
bind - sockfd:fd addr:ptr addrlen:int
listen - sockfd:fd backlog:int
connect connect sockfd:fd addr:ptr addrlen:int
accept accept sockfd:fd addr:ptr addrlen:ptr
accept4 accept sockfd:fd addr:ptr addrlen:ptr flags:sockflags
recv socket-read sockfd:fd buf:ptr len:size flags:msg
recvfrom socket-read sockfd:fd buf:ptr len:size flags:msg src_addr:ptr addrlen:ptr
recvmsg socket-read sockfd:fd msg:ptr flags:msg
recvmmsg,recvmmsg_time64 socket-read sockfd:fd msgvec:ptr vlen:uint flags:msg timeout:ptr
send socket-write sockfd:fd buf:ptr len:size flags:msg
sendto socket-write sockfd:fd buf:ptr len:size flags:msg dest_addr:ptr addrlen:int
sendmsg socket-write sockfd:fd msg:ptr flags:msg
sendmmsg socket-write sockfd:fd msgvec:ptr vlen:uint flags:msg
shutdown - sockfd:fd how:shutdown
getsockname,getpeername - sockfd:fd addr:ptr addrlen:ptr
setsockopt - sockfd:fd level:int optname:int optval:ptr optlen:int
getsockopt - sockfd:fd level:int optname:int optval:ptr optlen:ptr
socketcall - call:socketcall args:ptr
poll poll fds:ptr nfds:uint timeout:ms
ppoll,ppoll_time64 poll fds:ptr nfds:uint timeout:ptr sigmask:ptr sigsetsize:size
select,_newselect poll nfds:int readfds:ptr writefds:ptr exceptfds:ptr timeout:ptr
select@i386 poll args:ptr
pselect6,pselect6_time64 poll nfds:int readfds:ptr writefds:ptr exceptfds:ptr timeout:ptr sigmask:ptr
epoll_wait epoll epfd:fd events:ptr maxevents:int timeout:ms
epoll_wait_old epoll epfd:fd events:ptr maxevents:int timeout:ms
epoll_pwait epoll epfd:fd events:ptr maxevents:int timeout:ms sigmask:ptr sigsetsize:size
epoll_pwait2 epoll epfd:fd events:ptr maxevents:int timeout:ptr sigmask:ptr sigsetsize:size
epoll_ctl - epfd:fd op:epollop fd:fd event:ptr
epoll_create - size:int
epoll_create1 - flags:oflags
futex,futex_time64 futex uaddr:ptr op:futexop val:uint timeout:ptr uaddr2:ptr val3:futexval3
futex_waitv futex waiters:ptr nr_futexes:uint flags:hex timeout:ptr clockid:clock
futex_wait futex uaddr:ptr val:size mask:hexword flags:futex2 timeout:ptr clockid:clock
futex_wake - uaddr:ptr mask:hexword nr:int flags:futex2
futex_requeue - waiters:ptr flags:hex nr_wake:int nr_requeue:int
get_robust_list - pid:pid head_ptr:ptr len_ptr:ptr
set_robust_list - head:ptr len:size
wait4 child pid:pid wstatus:ptr options:wait rusage:ptr
waitpid child pid:pid wstatus:ptr options:wait
waitid child idtype:idtype id:pid infop:ptr options:wait rusage:ptr
nanosleep sleep req:ptr rem:ptr
clock_nanosleep,clock_nanosleep_time64 sleep clockid:clock flags:timer req:ptr rem:ptr
clock_gettime,clock_gettime64,clock_getres,clock_getres_time64 - clockid:clock tp:ptr
gettimeofday - tv:ptr tz:ptr
time - tloc:ptr
pause signal
sigsuspend signal history0:skip history1:skip mask:hexword
rt_sigsuspend signal unewset:ptr sigsetsize:size
rt_sigtimedwait,rt_sigtimedwait_time64 signal set:ptr info:ptr timeout:ptr sigsetsize:size
rt_sigprocmask - how:sighow set:ptr oldset:ptr sigsetsize:size
rt_sigaction - signum:sig act:ptr oldact:ptr sigsetsize:size
rt_sigreturn,sigreturn -
signalfd - fd:fd mask:ptr sizemask:size
signalfd4 - fd:fd mask:ptr sizemask:size flags:oflags
eventfd - initval:uint
eventfd2 - initval:uint flags:eventfd
timerfd_create - clockid:clock flags:oflags
timerfd_settime,timerfd_settime64 - fd:fd flags:timer new_value:ptr old_value:ptr
semop ipc semid:int sops:ptr nsops:size
semtimedop,semtimedop_time64 ipc semid:int sops:ptr nsops:size timeout:ptr
semget - key:hex nsems:int flags:oct
semctl - semid:int semnum:int cmd:int arg:hexword
msgrcv ipc msqid:int msgp:ptr msgsz:size msgtyp:long flags:msgflg
msgsnd ipc msqid:int msgp:ptr msgsz:size flags:msgflg
msgget - key:hex flags:oct
shmget - key:hex size:size flags:oct
shmat memory shmid:int shmaddr:ptr flags:oct
shmdt memory shmaddr:ptr
ipc ipc call:ipccall first:int second:int third:hexword ptr:ptr fifth:hexword
mq_open - name:path oflag:oflags mode:mode attr:ptr
mq_unlink - name:path
mq_timedsend,mq_timedsend_time64 ipc mqdes:fd msg_ptr:ptr msg_len:size msg_prio:uint timeout:ptr
mq_timedreceive,mq_timedreceive_time64 ipc mqdes:fd msg_ptr:ptr msg_len:size msg_prio:ptr timeout:ptr
io_uring_setup - entries:uint params:ptr
io_uring_enter io-uring fd:fd to_submit:uint min_complete:uint flags:iouring arg:ptr argsz:size
io_uring_register - fd:fd opcode:uint arg:ptr nr_args:uint
io_setup - nr_events:uint ctx_idp:ptr
io_destroy aio ctx_id:hexword
io_submit disk ctx_id:hexword nr:long iocbpp:ptr
io_cancel - ctx_id:hexword iocb:ptr result:ptr
io_getevents aio ctx_id:hexword min_nr:long nr:long events:ptr timeout:ptr
io_pgetevents,io_pgetevents_time64 aio ctx_id:hexword min_nr:long nr:long events:ptr timeout:ptr usig:ptr
mmap memory addr:ptr length:size prot:prot flags:mmap fd:fd offset:hexword
mmap@i386 memory args:ptr
mmap2 memory addr:ptr length:size prot:prot flags:mmap fd:fd pgoffset:pages
munmap memory addr:ptr length:size
mremap memory old_address:ptr old_size:size new_size:size flags:mremap new_address:mremapaddr
mprotect memory addr:ptr len:size prot:prot
pkey_mprotect memory addr:ptr len:size prot:prot pkey:int
madvise memory addr:ptr length:size advice:madvise
process_madvise memory pidfd:fd iov:ptr vlen:size advice:madvise flags:hex
brk memory addr:ptr
mincore memory addr:ptr length:size vec:ptr
mlock,munlock memory addr:ptr len:size
mlock2 memory addr:ptr len:size flags:hex
mlockall memory flags:hex
munlockall memory
mbind memory addr:ptr len:size mode:hex nodemask:ptr maxnode:size flags:hex
migrate_pages memory pid:pid maxnode:size old_nodes:ptr new_nodes:ptr
move_pages memory pid:pid count:size pages:ptr nodes:ptr status:ptr flags:hex
remap_file_pages memory addr:ptr size:size prot:prot pgoff:size flags:mmap
process_vm_readv,process_vm_writev - pid:pid local_iov:ptr liovcnt:size remote_iov:ptr riovcnt:size flags:hexword
process_mrelease memory pidfd:fd flags:hex
memfd_create - name:path flags:hex
memfd_secret - flags:oflags
membarrier kernel cmd:hex flags:hex cpu_id:int
clone - flags:clone stack:ptr
clone3 - cl_args:ptr size:size
fork -
vfork vfork
execve - pathname:path argv:ptr envp:ptr
execveat - dirfd:dirfd pathname:path argv:ptr envp:ptr flags:at
exit,exit_group exit status:int
kill - pid:pid sig:sig
tkill - tid:pid sig:sig
tgkill - tgid:pid tid:pid sig:sig
rt_sigqueueinfo - pid:pid sig:sig info:ptr
rt_tgsigqueueinfo - tgid:pid tid:pid sig:sig info:ptr
pidfd_send_signal - pidfd:fd sig:sig info:ptr flags:hex
pidfd_open - pid:pid flags:oflags
pidfd_getfd - pidfd:fd targetfd:fd flags:hex
ptrace - request:ptrace pid:pid addr:hexword data:hexword
prctl - option:int arg2:hexword arg3:hexword arg4:hexword arg5:hexword
arch_prctl@x86_64,arch_prctl@i386 - code:hex addr:hexword
seccomp kernel operation:uint flags:hex args:ptr
restart_syscall -
sched_yield -
sched_setaffinity,sched_getaffinity - pid:pid cpusetsize:size mask:ptr
sched_setscheduler - pid:pid policy:int param:ptr
getpriority - which:int who:pid
setpriority - which:int who:pid prio:int
prlimit64 - pid:pid resource:int new_limit:ptr old_limit:ptr
getrusage - who:int usage:ptr
getpid,gettid,getppid,getuid,geteuid,getgid,getegid,getuid32,geteuid32,getgid32,getegid32,setsid -
setitimer - which:int new_value:ptr old_value:ptr
alarm - seconds:uint
getrandom kernel buf:ptr buflen:size flags:getrandom
userfaultfd - flags:oflags
inotify_init -
inotify_init1 - flags:oflags
inotify_add_watch - fd:fd pathname:path mask:hex
inotify_rm_watch - fd:fd wd:int
fanotify_init - flags:hex event_f_flags:oflags
fanotify_mark@x86_64,fanotify_mark@aarch64 - fanotify_fd:fd flags:hex mask:hexword dirfd:dirfd pathname:path
fanotify_mark - fanotify_fd:fd flags:hex mask:off dirfd:dirfd pathname:path
mount - source:path target:path filesystemtype:path mountflags:hexword data:ptr
umount - target:path
umount2 - target:path flags:umount
pivot_root - new_root:path put_old:path
move_mount - from_dirfd:dirfd from_path:path to_dirfd:dirfd to_path:path flags:hex
open_tree - dirfd:dirfd path:path flags:hex
fsopen - fs_name:path flags:hex
fsconfig - fd:fd cmd:uint key:path value:ptr aux:int
fsmount - fs_fd:fd flags:hex attr_flags:hex
fspick - dirfd:dirfd path:path flags:hex
mount_setattr - dirfd:dirfd path:path flags:at attr:ptr size:size
setns - fd:fd nstype:clonens
unshare - flags:clonens
quotactl disk cmd:hex special:path id:int addr:ptr
swapon disk path:path flags:hex
swapoff memory path:path
acct - filename:path
syslog event type:int buf:ptr len:int
reboot kernel magic:hex magic2:hex op:hex arg:ptr
init_module kernel module_image:ptr len:size param_values:path
finit_module kernel fd:fd param_values:path flags:hex
delete_module kernel name:path flags:oflags
bpf kernel cmd:int attr:ptr size:uint
perf_event_open kernel attr:ptr pid:pid cpu:int group_fd:fd flags:hexword
add_key kernel type:path description:path payload:ptr plen:size keyring:int
request_key kernel type:path description:path callout_info:path dest_keyring:int
keyctl kernel operation:int arg2:hexword arg3:hexword arg4:hexword arg5:hexword
"""


class Signature(NamedTuple):
    name: str
    kind: str               # a wait kind; '' when the descriptor, the file or the arguments decide
    args: tuple             # of (name, type)


_signatures, _signature_of = {}, {}


def _split_signatures(rows):
    """{'read': Signature, 'mmap@i386': Signature} of the rows of SIGNATURES."""
    table = {}
    for row in rows.strip().splitlines():
        words = row.split()
        args = tuple(tuple(word.split(':')) for word in words[2:])
        for name in words[0].split(','):
            table[name] = Signature(name.split('@')[0], '' if words[1] == '-' else words[1], args)
    return table


def signature(name, arch=''):
    """The Signature of a call by name, the architecture's own where it has one; None when the table has no such call."""
    if not _signatures:
        _signatures.update(_split_signatures(SIGNATURES))
    key = name, arch
    if key not in _signature_of:
        _signature_of[key] = _signatures.get('%s@%s' % (name, arch_name(arch))) or _signatures.get(name)
    return _signature_of[key]


# Words of the bits of an argument, in the order in which they are shown.
FLAG_SETS = {
    'msg': ((0x1, 'MSG_OOB'), (0x2, 'MSG_PEEK'), (0x4, 'MSG_DONTROUTE'), (0x8, 'MSG_CTRUNC'), (0x10, 'MSG_PROBE'),
            (0x20, 'MSG_TRUNC'), (0x40, 'MSG_DONTWAIT'), (0x80, 'MSG_EOR'), (0x100, 'MSG_WAITALL'), (0x200, 'MSG_FIN'),
            (0x400, 'MSG_SYN'), (0x800, 'MSG_CONFIRM'), (0x1000, 'MSG_RST'), (0x2000, 'MSG_ERRQUEUE'),
            (0x4000, 'MSG_NOSIGNAL'), (0x8000, 'MSG_MORE'), (0x10000, 'MSG_WAITFORONE'), (0x40000, 'MSG_BATCH'),
            (0x4000000, 'MSG_ZEROCOPY'), (0x20000000, 'MSG_FASTOPEN'), (0x40000000, 'MSG_CMSG_CLOEXEC')),
    'wait': ((1, 'WNOHANG'), (2, 'WSTOPPED'), (4, 'WEXITED'), (8, 'WCONTINUED'), (0x1000000, 'WNOWAIT'),
             (0x20000000, '__WNOTHREAD'), (0x40000000, '__WALL'), (0x80000000, '__WCLONE')),
    'flockop': ((1, 'LOCK_SH'), (2, 'LOCK_EX'), (4, 'LOCK_NB'), (8, 'LOCK_UN')),
    'prot': ((1, 'PROT_READ'), (2, 'PROT_WRITE'), (4, 'PROT_EXEC'), (0x10, 'PROT_BTI'), (0x20, 'PROT_MTE'),
             (0x1000000, 'PROT_GROWSDOWN'), (0x2000000, 'PROT_GROWSUP')),
    'mmap': ((0x10, 'MAP_FIXED'), (0x20, 'MAP_ANONYMOUS'), (0x40, 'MAP_32BIT'), (0x100, 'MAP_GROWSDOWN'),
             (0x800, 'MAP_DENYWRITE'), (0x1000, 'MAP_EXECUTABLE'), (0x2000, 'MAP_LOCKED'), (0x4000, 'MAP_NORESERVE'),
             (0x8000, 'MAP_POPULATE'), (0x10000, 'MAP_NONBLOCK'), (0x20000, 'MAP_STACK'), (0x40000, 'MAP_HUGETLB'),
             (0x80000, 'MAP_SYNC'), (0x100000, 'MAP_FIXED_NOREPLACE')),
    'mremap': ((1, 'MREMAP_MAYMOVE'), (2, 'MREMAP_FIXED'), (4, 'MREMAP_DONTUNMAP')),
    'msync': ((1, 'MS_ASYNC'), (2, 'MS_INVALIDATE'), (4, 'MS_SYNC')),
    'splice': ((1, 'SPLICE_F_MOVE'), (2, 'SPLICE_F_NONBLOCK'), (4, 'SPLICE_F_MORE'), (8, 'SPLICE_F_GIFT')),
    'at': ((0x100, 'AT_SYMLINK_NOFOLLOW'), (0x400, 'AT_SYMLINK_FOLLOW'), (0x800, 'AT_NO_AUTOMOUNT'),
           (0x1000, 'AT_EMPTY_PATH'), (0x2000, 'AT_STATX_FORCE_SYNC'), (0x4000, 'AT_STATX_DONT_SYNC'),
           (0x8000, 'AT_RECURSIVE')),
    'faccessat': ((0x200, 'AT_EACCESS'), (0x100, 'AT_SYMLINK_NOFOLLOW'), (0x1000, 'AT_EMPTY_PATH')),
    'unlinkat': ((0x200, 'AT_REMOVEDIR'),),
    'access': ((4, 'R_OK'), (2, 'W_OK'), (1, 'X_OK')),
    'fallocate': ((1, 'FALLOC_FL_KEEP_SIZE'), (2, 'FALLOC_FL_PUNCH_HOLE'), (4, 'FALLOC_FL_NO_HIDE_STALE'),
                  (8, 'FALLOC_FL_COLLAPSE_RANGE'), (0x10, 'FALLOC_FL_ZERO_RANGE'), (0x20, 'FALLOC_FL_INSERT_RANGE'),
                  (0x40, 'FALLOC_FL_UNSHARE_RANGE')),
    'syncrange': ((1, 'SYNC_FILE_RANGE_WAIT_BEFORE'), (2, 'SYNC_FILE_RANGE_WRITE'), (4, 'SYNC_FILE_RANGE_WAIT_AFTER')),
    'iouring': ((1, 'IORING_ENTER_GETEVENTS'), (2, 'IORING_ENTER_SQ_WAKEUP'), (4, 'IORING_ENTER_SQ_WAIT'),
                (8, 'IORING_ENTER_EXT_ARG'), (16, 'IORING_ENTER_REGISTERED_RING'), (32, 'IORING_ENTER_ABS_TIMER'),
                (64, 'IORING_ENTER_EXT_ARG_REG')),
    'rename': ((1, 'RENAME_NOREPLACE'), (2, 'RENAME_EXCHANGE'), (4, 'RENAME_WHITEOUT')),
    'umount': ((1, 'MNT_FORCE'), (2, 'MNT_DETACH'), (4, 'MNT_EXPIRE'), (8, 'UMOUNT_NOFOLLOW')),
    'rwf': ((1, 'RWF_HIPRI'), (2, 'RWF_DSYNC'), (4, 'RWF_SYNC'), (8, 'RWF_NOWAIT'), (16, 'RWF_APPEND'),
            (32, 'RWF_NOAPPEND'), (64, 'RWF_ATOMIC'), (128, 'RWF_DONTCACHE')),
    'getrandom': ((1, 'GRND_NONBLOCK'), (2, 'GRND_RANDOM'), (4, 'GRND_INSECURE')),
    'sockflags': ((0o2000000, 'SOCK_CLOEXEC'), (0o4000, 'SOCK_NONBLOCK')),
    'eventfd': ((1, 'EFD_SEMAPHORE'), (0o2000000, 'EFD_CLOEXEC'), (0o4000, 'EFD_NONBLOCK')),
    'timer': ((1, 'TIMER_ABSTIME'), (2, 'TFD_TIMER_CANCEL_ON_SET')),
    'msgflg': ((0o4000, 'IPC_NOWAIT'), (0o10000, 'MSG_NOERROR'), (0o20000, 'MSG_EXCEPT'), (0o40000, 'MSG_COPY')),
    'futex2': ((4, 'FUTEX2_NUMA'), (8, 'FUTEX2_MPOL'), (128, 'FUTEX2_PRIVATE')),
    'clone': ((0x80, 'CLONE_NEWTIME'), (0x100, 'CLONE_VM'), (0x200, 'CLONE_FS'), (0x400, 'CLONE_FILES'), (0x800, 'CLONE_SIGHAND'),
              (0x1000, 'CLONE_PIDFD'), (0x2000, 'CLONE_PTRACE'), (0x4000, 'CLONE_VFORK'), (0x8000, 'CLONE_PARENT'),
              (0x10000, 'CLONE_THREAD'), (0x20000, 'CLONE_NEWNS'), (0x40000, 'CLONE_SYSVSEM'), (0x80000, 'CLONE_SETTLS'),
              (0x100000, 'CLONE_PARENT_SETTID'), (0x200000, 'CLONE_CHILD_CLEARTID'), (0x400000, 'CLONE_DETACHED'),
              (0x800000, 'CLONE_UNTRACED'), (0x1000000, 'CLONE_CHILD_SETTID'), (0x2000000, 'CLONE_NEWCGROUP'),
              (0x4000000, 'CLONE_NEWUTS'), (0x8000000, 'CLONE_NEWIPC'), (0x10000000, 'CLONE_NEWUSER'),
              (0x20000000, 'CLONE_NEWPID'), (0x40000000, 'CLONE_NEWNET'), (0x80000000, 'CLONE_IO')),
}

# Words of arguments that are one of several values.
VALUE_NAMES = {
    'clock': ('CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID CLOCK_THREAD_CPUTIME_ID CLOCK_MONOTONIC_RAW '
              'CLOCK_REALTIME_COARSE CLOCK_MONOTONIC_COARSE CLOCK_BOOTTIME CLOCK_REALTIME_ALARM CLOCK_BOOTTIME_ALARM '
              '11 CLOCK_TAI'),
    'whence': 'SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE',
    'shutdown': 'SHUT_RD SHUT_WR SHUT_RDWR',
    'idtype': 'P_ALL P_PID P_PGID P_PIDFD',
    'sighow': 'SIG_BLOCK SIG_UNBLOCK SIG_SETMASK',
    'epollop': '1 EPOLL_CTL_ADD EPOLL_CTL_DEL EPOLL_CTL_MOD',
    'fcntlcmd': ('F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL F_GETLK F_SETLK F_SETLKW F_SETOWN F_GETOWN F_SETSIG F_GETSIG '
                 'F_GETLK64 F_SETLK64 F_SETLKW64 F_SETOWN_EX F_GETOWN_EX F_GETOWNER_UIDS '
                 '36 F_OFD_GETLK F_OFD_SETLK F_OFD_SETLKW '
                 '1024 F_SETLEASE F_GETLEASE F_NOTIFY F_DUPFD_QUERY F_CREATED_QUERY F_CANCELLK F_DUPFD_CLOEXEC '
                 'F_SETPIPE_SZ F_GETPIPE_SZ F_ADD_SEALS F_GET_SEALS F_GET_RW_HINT F_SET_RW_HINT F_GET_FILE_RW_HINT '
                 'F_SET_FILE_RW_HINT F_GETDELEG F_SETDELEG'),
    'madvise': ('MADV_NORMAL MADV_RANDOM MADV_SEQUENTIAL MADV_WILLNEED MADV_DONTNEED 8 MADV_FREE MADV_REMOVE '
                'MADV_DONTFORK MADV_DOFORK MADV_MERGEABLE MADV_UNMERGEABLE MADV_HUGEPAGE MADV_NOHUGEPAGE MADV_DONTDUMP '
                'MADV_DODUMP MADV_WIPEONFORK MADV_KEEPONFORK MADV_COLD MADV_PAGEOUT MADV_POPULATE_READ '
                'MADV_POPULATE_WRITE MADV_DONTNEED_LOCKED MADV_COLLAPSE 100 MADV_HWPOISON MADV_SOFT_OFFLINE '
                'MADV_GUARD_INSTALL MADV_GUARD_REMOVE'),
    'ptrace': ('PTRACE_TRACEME PTRACE_PEEKTEXT PTRACE_PEEKDATA PTRACE_PEEKUSER PTRACE_POKETEXT PTRACE_POKEDATA '
               'PTRACE_POKEUSER PTRACE_CONT PTRACE_KILL PTRACE_SINGLESTEP 12 PTRACE_GETREGS PTRACE_SETREGS '
               '16 PTRACE_ATTACH PTRACE_DETACH 24 PTRACE_SYSCALL 16896 PTRACE_SETOPTIONS PTRACE_GETEVENTMSG '
               'PTRACE_GETSIGINFO PTRACE_SETSIGINFO PTRACE_GETREGSET PTRACE_SETREGSET PTRACE_SEIZE PTRACE_INTERRUPT '
               'PTRACE_LISTEN PTRACE_PEEKSIGINFO PTRACE_GETSIGMASK PTRACE_SETSIGMASK PTRACE_SECCOMP_GET_FILTER '
               'PTRACE_SECCOMP_GET_METADATA PTRACE_GET_SYSCALL_INFO PTRACE_GET_RSEQ_CONFIGURATION'),
    'socketcall': ('1 SYS_SOCKET SYS_BIND SYS_CONNECT SYS_LISTEN SYS_ACCEPT SYS_GETSOCKNAME SYS_GETPEERNAME '
                   'SYS_SOCKETPAIR SYS_SEND SYS_RECV SYS_SENDTO SYS_RECVFROM SYS_SHUTDOWN SYS_SETSOCKOPT SYS_GETSOCKOPT '
                   'SYS_SENDMSG SYS_RECVMSG SYS_ACCEPT4 SYS_RECVMMSG SYS_SENDMMSG'),
    'ipccall': '1 SEMOP SEMGET SEMCTL SEMTIMEDOP 11 MSGSND MSGRCV MSGGET MSGCTL 21 SHMAT SHMDT SHMGET SHMCTL',
    'family': 'AF_UNSPEC AF_UNIX AF_INET 10 AF_INET6 16 AF_NETLINK AF_PACKET 38 AF_ALG 40 AF_VSOCK 44 AF_XDP',
    'ioctl': ('0x540b TCFLSH 0x5409 TCSBRK 0x5425 TCSBRKP 0x5401 TCGETS TCSETS TCSETSW TCSETSF 0x540e TIOCSCTTY '
              'TIOCGPGRP TIOCSPGRP 0x5413 TIOCGWINSZ TIOCSWINSZ 0x541b FIONREAD 0x5421 FIONBIO 0x545c TIOCMIWAIT '
              '0xae80 KVM_RUN 0xc0306201 BINDER_WRITE_READ 0x40049409 FICLONE 0x4020940d FICLONERANGE '
              '0xc0045877 FIFREEZE FITHAW 0xc0185879 FITRIM 0x1261 BLKFLSBUF 0x1277 BLKDISCARD '
              '0x4008550c USBDEVFS_REAPURB 0x80086601 FS_IOC_GETFLAGS 0x40086602 FS_IOC_SETFLAGS '
              '0xc018aa3f UFFDIO_API 0x2285 SG_IO 0xab00 NBD_SET_SOCK 0xab03 NBD_DO_IT'),
}
_value_names = {}


def value_name(table, value):
    """The word of a value in VALUE_NAMES[table] ('fcntlcmd', 7 -> 'F_SETLKW'), or None."""
    if table not in _value_names:
        _value_names[table] = _split_values(VALUE_NAMES.get(table, ''))
    return _value_names[table].get(value)


def _split_values(words):
    """{value: word} of a list in which a number, decimal or 0x, is a jump."""
    found, following = {}, 0
    for word in words.split():
        if word[0].isdigit():
            following = int(word, 0)
        else:
            found[following] = word
            following += 1
    return found


def flag_names(table, value):
    """The bits of `value` as words of FLAG_SETS[table], strace's way: 'MSG_PEEK|MSG_DONTWAIT', '0' for none, the rest in hex."""
    words, rest = [], value
    for bit, word in table if isinstance(table, tuple) else FLAG_SETS[table]:
        if rest & bit == bit:
            words.append(word)
            rest &= ~bit
    if rest:
        words.append('%#x' % rest)
    return '|'.join(words) or '0'


# Flags of open(2) in octal. The first four of _OPEN_VARYING differ between x86 and ARM: fdinfo's `flags:` with them.
_OPEN_COMMON = (
    (0o100, 'O_CREAT'), (0o200, 'O_EXCL'), (0o400, 'O_NOCTTY'), (0o1000, 'O_TRUNC'), (0o2000, 'O_APPEND'),
    (0o4000, 'O_NONBLOCK'), (0o4010000, 'O_SYNC'), (0o10000, 'O_DSYNC'), (0o20000, 'FASYNC'))
_OPEN_VARYING = {
    'x86': ((0o20200000, 'O_TMPFILE'), (0o40000, 'O_DIRECT'), (0o100000, 'O_LARGEFILE'), (0o200000, 'O_DIRECTORY'),
            (0o400000, 'O_NOFOLLOW')),
    'arm': ((0o20040000, 'O_TMPFILE'), (0o200000, 'O_DIRECT'), (0o400000, 'O_LARGEFILE'), (0o40000, 'O_DIRECTORY'),
            (0o100000, 'O_NOFOLLOW')),
}
_OPEN_LAST = ((0o1000000, 'O_NOATIME'), (0o2000000, 'O_CLOEXEC'), (0o10000000, 'O_PATH'), (0o20000000, '__O_TMPFILE'))
_OPEN_ACCESS = ('O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_ACCMODE')


def open_flag_table(arch):
    """((bit, word), ...) of an architecture, without the access mode in the low two bits."""
    family = 'arm' if arch_name(arch) in ('aarch64', 'arm') else 'x86'
    return _OPEN_COMMON + _OPEN_VARYING[family] + _OPEN_LAST


def open_flags(arch, octal):
    """open(2) flags as words: '0100002' (the octal text of fdinfo) or an int -> 'O_RDWR|O_LARGEFILE'; '' for garbage."""
    value = number(octal, 8) if isinstance(octal, str) else octal
    if not isinstance(value, int) or value < 0:
        return ''
    words = _OPEN_ACCESS[value & 3]
    rest = value & ~3
    return words + '|' + flag_names(open_flag_table(arch), rest) if rest else words


# The commands of futex(2) in the order of their numbers, which of the six arguments each looks at, what it does.
FUTEX_OPS = (
    ('FUTEX_WAIT', '0123', 'sleep while the word is val: a lock, a join, a barrier'),
    ('FUTEX_WAKE', '012', 'wake up to val sleepers; never blocks'),
    ('FUTEX_FD', '012', 'removed long ago'),
    ('FUTEX_REQUEUE', '01234', 'move sleepers to another word; never blocks'),
    ('FUTEX_CMP_REQUEUE', '012345', 'move sleepers to another word; never blocks'),
    ('FUTEX_WAKE_OP', '012345', 'change a word and wake; never blocks'),
    ('FUTEX_LOCK_PI', '013', 'take a priority-inheritance mutex: the word holds the owner\'s tid'),
    ('FUTEX_UNLOCK_PI', '01', 'release a priority-inheritance mutex; never blocks'),
    ('FUTEX_TRYLOCK_PI', '01', 'try a priority-inheritance mutex; never blocks'),
    ('FUTEX_WAIT_BITSET', '01235', 'as WAIT, until an absolute time: a condition, semaphore, rwlock, timed lock'),
    ('FUTEX_WAKE_BITSET', '0125', 'wake sleepers by a bit mask; never blocks'),
    ('FUTEX_WAIT_REQUEUE_PI', '01234', 'wait on a condition whose mutex is a priority-inheritance one'),
    ('FUTEX_CMP_REQUEUE_PI', '012345', 'hand sleepers to a priority-inheritance mutex; never blocks'),
    ('FUTEX_LOCK_PI2', '013', 'as FUTEX_LOCK_PI, with a choice of clock: the word holds the owner\'s tid'),
)
FUTEX_PRIVATE, FUTEX_REALTIME, FUTEX_CMD_MASK = 0x80, 0x100, 0x7f


def futex_op(op):
    """strace's words for futex's second argument: 0x189 -> 'FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME'."""
    op &= 0xffffffff
    command, rest = op & FUTEX_CMD_MASK, op & ~(FUTEX_CMD_MASK | FUTEX_PRIVATE | FUTEX_REALTIME)
    if command >= len(FUTEX_OPS) or rest:
        return '%#x' % op
    words = FUTEX_OPS[command][0] + ('_PRIVATE' if op & FUTEX_PRIVATE else '')
    return words + ('|FUTEX_CLOCK_REALTIME' if op & FUTEX_REALTIME else '')


def _futex_unused(args, place):
    """Whether futex's command leaves an argument alone: its register holds junk then."""
    command = args[1] & FUTEX_CMD_MASK if len(args) > 1 else 0
    return command < len(FUTEX_OPS) and str(place) not in FUTEX_OPS[command][1]


def _ipc_unused(args, place):
    """ipc's last argument belongs to SEMTIMEDOP, and to MSGRCV in the version that has no struct."""
    return place == 5 and args[0] & 0xffff != 4 and not (args[0] & 0xffff == 12 and args[0] >> 16 & 0xffff)


def _signed(value, bits):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _word_bits(arch):
    return 32 if arch_name(arch) in ('i386', 'arm') else 64


def _clone_flags(value):
    """clone's first argument: flags, and in the low byte the signal that the parent gets."""
    words = flag_names('clone', value & 0xffffff00) if value & 0xffffff00 else ''
    sent = value & 0xff
    return '|'.join(part for part in (words, signal_name(sent) if sent else '') if part) or '0'


def _map_flags(value):
    kind = {1: 'MAP_SHARED', 2: 'MAP_PRIVATE', 3: 'MAP_SHARED_VALIDATE'}.get(value & 3)
    rest = flag_names('mmap', value & ~3) if value & ~3 else ''
    return '|'.join(part for part in (kind, rest) if part) or '0'


def _socket_type(value):
    words = {1: 'SOCK_STREAM', 2: 'SOCK_DGRAM', 3: 'SOCK_RAW', 5: 'SOCK_SEQPACKET'}.get(value & 0xf, '%#x' % (value & 0xf))
    return words + ('|' + flag_names('sockflags', value & ~0xf) if value & ~0xf else '')


def _futex2_flags(value):
    size = ('FUTEX2_SIZE_U8', 'FUTEX2_SIZE_U16', 'FUTEX2_SIZE_U32', 'FUTEX2_SIZE_U64')[value & 3]
    return size + ('|' + flag_names('futex2', value & ~3) if value & ~3 else '')


def _ipc_call(value):
    """The call number of ipc(2) has a version in its upper half."""
    return value_name('ipccall', value & 0xffff) or '%#x' % value


# Types whose words are made by a function of the value (32 bits, unsigned).
_WORDS = {
    'futexop': futex_op, 'clone': _clone_flags, 'mmap': _map_flags, 'socktype': _socket_type, 'futex2': _futex2_flags,
    'ipccall': _ipc_call,
    'access': lambda value: 'F_OK' if value == 0 else flag_names('access', value),
    'prot': lambda value: 'PROT_NONE' if value == 0 else flag_names('prot', value),
    'clonens': lambda value: flag_names('clone', value),
    'sig': lambda value: signal_name(value) if value else '0',
    'futexval3': lambda value: 'FUTEX_BITSET_MATCH_ANY' if value == 0xffffffff else '%#x' % value,
}


def _plain_value(kind, raw, bits):
    """The text of one register for a plain type: int fd pid ms are signed 32 bits whatever the upper half holds."""
    low = raw & 0xffffffff
    if kind in ('ptr', 'path', 'mremapaddr'):
        value = raw & ((1 << bits) - 1)
        return '%#x' % value if value else 'NULL'
    if kind in ('int', 'fd', 'pid', 'ms'):
        return str(_signed(raw, 32))
    if kind == 'dirfd':
        return 'AT_FDCWD' if _signed(raw, 32) == -100 else str(_signed(raw, 32))
    if kind in ('oct', 'mode'):
        return '0%o' % low if low else '000'
    if kind in ('size', 'long', 'hexword'):
        value = _signed(raw, bits) if kind == 'long' else raw & ((1 << bits) - 1)
        return '%#x' % value if kind == 'hexword' and value else str(value)
    if kind == 'pages':
        return '%#x' % (low << 12) if low else '0'
    return str(low) if kind == 'uint' or low == 0 else '%#x' % low


def _one_value(arch, kind, raw):
    """The text of one register."""
    low = raw & 0xffffffff
    if kind == 'oflags':
        return open_flags(arch, low)
    if kind in _WORDS:
        return _WORDS[kind](low)
    if kind in VALUE_NAMES:
        return value_name(kind, low) or ('%#x' % low if kind == 'ioctl' else str(_signed(raw, 32)))
    if kind in FLAG_SETS:
        return flag_names(kind, low)
    return _plain_value(kind, raw, _word_bits(arch))


def _offset(arch, kind, args, place):
    """(value, registers used) of a 64-bit file offset: two registers on 32-bit machines, an even pair on ARM.
    preadv's (`off2`) is two registers everywhere, of which 64-bit machines use the first."""
    if _word_bits(arch) == 64:
        return _signed(args[place], 64), 2 if kind == 'off2' else 1
    pad = place & 1 if kind == 'off' and arch_name(arch) == 'arm' else 0
    pair = (tuple(args) + (0, 0, 0))[place + pad:place + pad + 2]
    return _signed((pair[0] & 0xffffffff) | (pair[1] & 0xffffffff) << 32, 64), 2 + pad


_NO_FCNTL_ARG = ('F_GETFD', 'F_GETFL', 'F_GETOWN', 'F_GETSIG', 'F_GETLEASE', 'F_GETPIPE_SZ', 'F_GET_SEALS', 'F_CANCELLK')


def _fcntl_arg(arch, args):
    """fcntl's third argument as its command means it; '' where the command has none."""
    word = value_name('fcntlcmd', args[1] & 0xffffffff) or ''
    if word in _NO_FCNTL_ARG:
        return ''
    if word == 'F_SETFL':
        return open_flags(arch, args[2] & 0xffffffff)
    if word == 'F_SETFD':
        return 'FD_CLOEXEC' if args[2] & 0xffffffff == 1 else str(args[2] & 0xffffffff)
    if 'LK' in word or word.endswith(('_EX', 'HINT', 'UIDS', 'DELEG')):
        return _plain_value('ptr', args[2], _word_bits(arch))
    return _plain_value('int', args[2], 32)


def _absent(name, kind, args, place):
    """Whether an argument is only there if another one says so, and that one does not."""
    if kind == 'mode':
        return not args[place - 1] & 0o20000100                     # O_CREAT or __O_TMPFILE
    if kind == 'mremapaddr':
        return not args[place - 1] & 6                              # MREMAP_FIXED, MREMAP_DONTUNMAP
    if name in ('futex', 'futex_time64'):
        return _futex_unused(args, place)
    return kind == 'skip' or name == 'ipc' and _ipc_unused(args, place)


def call_args(arch, name, args):
    """[(argument, type, text)] of a call: its own arguments only, decoded as strace would; [] when the call is not in the table."""
    row = signature(name, arch)
    shown, place = [], 0
    for argument, kind in row.args if row else ():
        if place >= len(args):
            break
        used = 1
        if kind in ('off', 'off2'):
            value, used = _offset(arch, kind, args, place)
            shown.append((argument, kind, str(value)))
        elif kind == 'fcntlarg':
            value = _fcntl_arg(arch, args)
            if value:
                shown.append((argument, kind, value))
        elif not _absent(name, kind, args, place):
            shown.append((argument, kind, _one_value(arch, kind, args[place])))
        place += used
    return shown


def format_args(arch, name, args):
    """The arguments of a call as text, without its name and brackets; '...' when the table does not have the call."""
    if signature(name, arch) is None:
        return '...'
    return ', '.join(value for _argument, _kind, value in call_args(arch, name, args))


def call_fd(arch, name, args):
    """The descriptor that a call is about, its first one: int, or None (no descriptor, or the table does not have the call)."""
    row = signature(name, arch)
    for place, (_argument, kind) in enumerate(row.args if row else ()):
        if kind == 'fd' and place < len(args):
            return _signed(args[place], 32)
    return None


_SOCKETCALL_KINDS = {3: 'connect', 5: 'accept', 18: 'accept', 9: 'socket-write', 11: 'socket-write', 16: 'socket-write',
                     20: 'socket-write', 10: 'socket-read', 12: 'socket-read', 17: 'socket-read', 19: 'socket-read'}


def call_kind(arch, name, args=()):
    """The wait kind of a call where its number and arguments tell it, else ''. A descriptor's type is for others to judge."""
    row = signature(name, arch)
    first = args[0] & 0xffffffff if args else 0
    second = args[1] & 0xffffffff if len(args) > 1 else 0
    if name in ('fcntl', 'fcntl64'):
        return 'file-lock' if second in (7, 14, 38) else ''                 # F_SETLKW, F_SETLKW64, F_OFD_SETLKW
    if name == 'clone':
        return 'vfork' if first & 0x4000 else ''
    if name == 'socketcall':
        return _SOCKETCALL_KINDS.get(first, '')
    return row.kind if row else ''


# Wait channels: (wait kind, names, what it means for a tired person). Names are function names without what follows a dot;
# 'nfs4_*' stands for all that begin so. wchan is the first function on the sleeper's stack that is not scheduler code,
# so for kernel locks it is the caller's name. '' = the system call and its descriptor decide.
WCHANS = (
    ('futex',
     'futex_do_wait futex_wait_queue futex_wait_queue_me futex_wait __futex_wait do_futex '
     'futex_wait_restart',
     'waits for another thread: a lock, condition, join, semaphore or pool; the address says which'),
    ('futex', 'futex_wait_multiple futex_wait_multiple_setup futex_sleep_multiple',
     'waits for any of several futexes at once (futex_waitv: Wine, games)'),
    ('futex',
     'rt_mutex_schedule rt_mutex_wait_proxy_lock futex_lock_pi futex_wait_requeue_pi __rt_mutex_slowlock '
     'rt_mutex_slowlock rt_mutex_slowlock_block __rt_mutex_slowlock_locked',
     "waits for a priority-inheritance mutex: the word in memory holds the owner's tid"),
    ('epoll', 'do_epoll_wait ep_poll ep_schedule_timeout do_epoll_pwait',
     'event loop waiting for its descriptors: normal, unless work is due'),
    ('poll',
     'poll_schedule_timeout do_sys_poll do_poll do_select core_sys_select do_pselect '
     'schedule_hrtimeout_range do_restart_poll',
     'waits in poll or select for its descriptors, or for the timeout: normal, unless work is due'),
    ('sleep',
     'hrtimer_nanosleep do_nanosleep common_nsleep common_nsleep_timens alarm_timer_nsleep '
     'alarmtimer_do_nsleep posix_cpu_nsleep do_cpu_nanosleep hrtimer_nanosleep_restart',
     'sleeps for a time it chose: not hung, perhaps retrying in a loop'),
    ('sleep', 'msleep msleep_interruptible usleep_range usleep_range_state fsleep',
     'kernel code that sleeps for a set time'),
    ('signal', 'do_sigtimedwait sigsuspend sys_rt_sigtimedwait',
     'waits for a signal: a signal-driven thread, usually normal'),
    ('event', 'signalfd_read signalfd_read_iter signalfd_dequeue',
     'reads a signalfd: waits for a signal, usually normal'),
    ('child', 'do_wait kernel_wait4 do_wait4 kernel_waitid do_waitid',
     'waits for a child process to end: the child is what to look at'),
    ('vfork', 'kernel_clone _do_fork do_fork wait_for_vfork_done',
     "parent of a vfork: its child has neither exec'd nor exited, so the child is what hangs"),
    ('pipe-read',
     'anon_pipe_read pipe_read pipe_wait_readable fifo_pipe_read splice_from_pipe_next splice_from_pipe '
     'ipipe_prep',
     'reads an empty pipe: the writer is silent, or a forgotten write end keeps the pipe open'),
    ('pipe-write', 'anon_pipe_write pipe_write pipe_wait_writable fifo_pipe_write wait_for_space opipe_prep',
     'writes to a full pipe: the reader does not read'),
    ('', 'pipe_wait', 'reads an empty or writes to a full pipe (kernels to 5.4): the call says which'),
    ('fifo-open', 'wait_for_partner fifo_open',
     'opens a FIFO that nobody has open at the other end (.NET has one such thread)'),
    ('accept', 'inet_csk_accept inet_csk_wait_for_connect inet_accept unix_accept do_accept vsock_accept',
     'a listener without clients: idle, normal'),
    ('', 'wait_woken',
     'TCP read, write or connect, a terminal, inotify, a tun device: the call and its descriptor say which'),
    ('', '__skb_wait_for_more_packets', 'reads a datagram socket (UDP, unix, netlink), or accepts on a unix socket'),
    ('socket-read',
     '__skb_recv_datagram __skb_recv_udp wait_for_packet skb_recv_datagram udp_recvmsg netlink_recvmsg '
     'packet_recvmsg unix_dgram_recvmsg',
     'reads a datagram socket to which nothing comes'),
    ('socket-read',
     'sk_wait_data tcp_recvmsg tcp_recvmsg_locked inet_recvmsg tls_rx_rec_wait tcp_bpf_recvmsg_parser '
     'tls_sw_recvmsg',
     'reads a TCP connection whose peer is silent: look at queues, timers and the peer'),
    ('socket-write', 'sk_stream_wait_memory sk_stream_wait_close tcp_sendmsg tcp_sendmsg_locked do_tcp_sendpages',
     'writes to a TCP connection whose peer does not read or does not acknowledge'),
    ('connect', 'inet_wait_for_connect inet_stream_connect __inet_stream_connect unix_stream_connect vsock_connect',
     'connects: the other side does not answer (dropped packets) or its accept queue is full'),
    ('socket-read',
     'unix_stream_read_generic unix_stream_recvmsg unix_stream_data_wait unix_stream_splice_read '
     'vsock_connectible_wait_data',
     'reads a unix stream socket whose other end is silent: find who holds that end'),
    ('socket-write', 'sock_alloc_send_pskb sock_wait_for_wmem unix_stream_sendmsg unix_dgram_sendmsg',
     'writes to a unix socket whose other end does not read'),
    ('socket-write', 'unix_wait_for_peer',
     'unix socket with a full receiver: a datagram (syslog), or connect to a full listener'),
    ('socket-read',
     'smc_rx_wait smc_recvmsg sctp_wait_for_packet sctp_skb_recv_datagram tipc_wait_for_rcvmsg '
     'rxrpc_recvmsg x25_recvmsg',
     'reads a socket to which nothing comes'),
    ('socket-write', 'smc_tx_wait sctp_wait_for_sndbuf', 'writes to a socket whose peer does not read'),
    ('kernel', 'lock_sock_nested __lock_sock lock_sock_fast',
     'another thread is working on the same socket and holds its lock'),
    ('tty', 'n_tty_read n_tty_write tty_read tty_write tty_wait_until_sent tty_ldisc_ref_wait tty_write_lock',
     'waits for typing, or writes to a terminal whose output is stopped (Ctrl-S) or slow'),
    ('event', 'do_wait_intr_irq', 'reads an eventfd or a timerfd in which nothing has happened yet, or writes to an eventfd that is full'),
    ('event', 'eventfd_write', 'writes to an eventfd whose counter is full: nobody reads it'),
    ('event', 'eventfd_read eventfd_ctx_do_read', 'reads an eventfd: nobody has posted to it'),
    ('event', 'timerfd_read timerfd_read_iter', 'reads a timerfd that has not expired: fdinfo says when it will'),
    ('event', 'inotify_read fanotify_read', 'waits for file events: idle'),
    ('event', 'fanotify_handle_event fanotify_get_response',
     'a file access that a fanotify listener (virus scanner, auditing) has not allowed yet'),
    ('event', 'devkmsg_read do_syslog syslog_print kmsg_read', 'reads the kernel log: idle'),
    ('event',
     'evdev_read hidraw_read joydev_read rtc_dev_read uio_read perf_read ring_buffer_wait tracing_wait_pipe'
     ' usbdev_read mousedev_read drm_read vfio_* usb_wait_* proc_reap_urb do_proc_bulk',
     'waits for a device or the tracer to deliver something'),
    ('event', 'kvm_vcpu_block kvm_vcpu_halt kvm_arch_vcpu_ioctl_run kvm_vcpu_ioctl',
     'a virtual CPU that is halted: the guest is idle'),
    ('event', 'binder_thread_read binder_wait_for_work', 'waits for a binder transaction (Android, Waydroid)'),
    ('event',
     'dma_fence_default_wait dma_fence_wait_timeout drm_syncobj_array_wait_timeout '
     'i915_request_wait_timeout amdgpu_* nvidia_* nv_* drm_*',
     'waits for the graphics card or its driver'),
    ('aio', 'read_events aio_read_events exit_aio', 'waits for kernel AIO to complete'),
    ('io-uring',
     'io_cqring_wait __do_sys_io_uring_enter io_uring_cancel_generic io_cqring_schedule_timeout '
     'io_uring_get_task_cancel io_ring_exit_work',
     'waits for io_uring completions: what blocks is in a thread iou-wrk-*, a poll, or the peer'),
    ('kthread-idle', 'io_wq_worker io_wqe_worker io_sq_thread', 'an io_uring worker thread without work'),
    ('ipc', 'do_msgrcv do_msgsnd', 'System V message queue, empty or full: the other side is absent or stuck'),
    ('ipc', 'do_semtimedop __do_semtimedop', 'System V semaphore: whoever should release it has not'),
    ('ipc', 'wq_sleep do_mq_timedreceive do_mq_timedsend',
     'POSIX message queue, empty or full: the other side is absent or stuck'),
    ('file-lock', 'flock_lock_inode_wait locks_lock_inode_wait __do_sys_flock',
     'waits for flock(): another process holds the lock, /proc/locks says which'),
    ('file-lock',
     'fcntl_setlk fcntl_setlk64 posix_lock_inode_wait do_lock_file_wait locks_lock_file_wait nlmclnt_block '
     'nlmclnt_lock nlmclnt_wait',
     'waits for an fcntl() file lock: another process holds it, /proc/locks says which'),
    ('file-lock', '__break_lease break_deleg_wait',
     'opens a file on which another process has a lease that it must give up first'),
    ('userfault', 'handle_userfault userfaultfd_ctx_read userfaultfd_read_iter',
     'a page fault that its userfaultfd monitor (live migration, CRIU, VM) has not answered'),
    ('stop', 'do_signal_stop', 'stopped by a signal (SIGSTOP, Ctrl-Z, terminal): SIGCONT resumes it'),
    ('trace', 'ptrace_stop ptrace_notify ptrace_signal ptrace_do_notify',
     'held by a debugger or tracer: TracerPid in status says whose'),
    ('kernel', 'wait_task_inactive ptrace_check_attach', 'a debugger waiting for the task that it traces to stop'),
    ('freezer', 'get_signal do_freezer_trap cgroup_enter_frozen',
     'frozen by cgroup.freeze (v2): looks like sleep, and runs again once thawed'),
    ('freezer', '__refrigerator refrigerator try_to_freeze',
     'frozen by the v1 cgroup freezer, or the machine is being suspended'),
    ('fuse',
     'request_wait_answer __fuse_simple_request fuse_simple_request fuse_get_req fuse_block_alloc '
     'fuse_lock_inode fuse_request_send __fuse_request_send fuse_set_nowrite fuse_wait_on_page_writeback '
     'fuse_dev_do_write fuse_wait_on_folio_writeback virtio_fs_* fuse_*',
     'the server of a FUSE file system (sshfs, s3fs, gcsfuse...) does not answer'),
    ('event', 'fuse_dev_do_read fuse_dev_read', 'a FUSE server waiting for requests: idle'),
    ('nfs',
     'rpc_wait_bit_killable nfs_wait_bit_killable nfs_wait_client_init_complete nfs_wait_on_request '
     'nfs_wait_bit_uninterruptible rpc_execute __rpc_execute rpc_run_task rpc_call_sync rpc_shutdown_client'
     ' nfs4_* nfs_* nfs3_* nfs41_* pnfs_* rpc_* xprt_*',
     'the NFS server does not answer'),
    ('nfs',
     'wait_for_response compound_send_recv cifs_* smb2_* SMB2_* cifs_wait_bit_killable smb_* '
     'wait_for_free_credits',
     'the SMB (CIFS) file server does not answer'),
    ('nfs', 'ceph_mdsc_* ceph_osdc_* ceph_* wait_caps rbd_*', 'the Ceph cluster does not answer'),
    ('nfs',
     'p9_client_rpc p9_* v9fs_* afs_* rxrpc_* gfs2_* dlm_* ocfs2_* __ocfs2_* lustre_* ptlrpc_* ldlm_* '
     'netfs_* fscache_* cachefiles_* orangefs_* wait_for_direct_io service_operation',
     'a network or cluster file system (9p, AFS, GFS2, Lustre, OCFS2...) does not answer'),
    ('nfs', 'autofs_wait autofs4_wait autofs_mount_wait autofs_expire_wait',
     'waits for the automount daemon to mount a directory: look at it, or at the server'),
    ('disk',
     'folio_wait_bit_common folio_wait_bit wait_on_page_bit wait_on_page_bit_common '
     'wait_on_page_bit_killable wait_on_page_writeback folio_wait_writeback __lock_page '
     '__lock_page_killable __lock_page_or_retry __folio_lock __folio_lock_killable __folio_lock_or_retry '
     'filemap_fault filemap_update_page filemap_get_pages filemap_read_folio put_and_wait_on_page_locked '
     'folio_put_wait_locked sleep_on_page sleep_on_page_killable __filemap_fdatawait_range '
     'filemap_fdatawait_range truncate_inode_pages_range __wait_on_freeing_inode inode_wait_for_writeback '
     'wb_wait_for_completion sync_inodes_sb writeback_inodes_sb wait_sb_inodes find_inode find_inode_fast',
     'waits for a page of a file: the disk, or the network or FUSE file system under it; swap if in a fault'),
    ('disk', '__wait_on_buffer wait_on_buffer __bread_gfp __sync_dirty_buffer sync_buffer __bh_read',
     'waits for a block of file-system data from the disk'),
    ('disk',
     'submit_bio_wait blk_mq_get_tag blk_mq_freeze_queue_wait blk_execute_rq rq_qos_wait wbt_wait '
     'get_request blkdev_issue_flush __blkdev_direct_IO* blkdev_direct_IO* iomap_dio_* __iomap_dio_rw '
     'dio_await_one dio_await_completion do_blockdev_direct_IO __blockdev_direct_IO bio_wait_* blk_* '
     'blkdev_* iocg_* ioc_* iolatency_* blkcg_* blk_throtl_* swap_read* swap_writepage* __swap_writepage '
     'sg_* scsi_* nvme_* ata_* mmc_* nbd_* virtblk_* loop_* bdev_* __blkdev_*',
     'the block device does not complete, its queue is full, or it is throttled (io.max)'),
    ('disk',
     'md_write_start md_make_request md_handle_request md_flush_request raid5_get_active_stripe '
     'raid5_make_request raid1_* raid10_* wait_barrier dm_wait_* dm_* md_* bch_* bcache_* drbd_* __drbd_* '
     'zvol_* multipath_*',
     'software RAID, device mapper or another stacked device waits for its parts'),
    ('disk',
     'jbd2_log_wait_commit wait_transaction_locked add_transaction_credits start_this_handle '
     'do_get_write_access jbd2_journal_commit_transaction __jbd2_log_wait_for_space jbd2_log_do_checkpoint '
     'jbd2_* ext4_* ext3_* ext2_* wait_transaction_switching jbd2_complete_transaction journal_* '
     'log_wait_commit',
     'ext4: its journal waits for slow or stuck I/O (fsync waits here)'),
    ('disk', 'xlog_* xfs_log_force* xfs_buf_* xlog_grant_head_wait xfs_*',
     'XFS: its log or a buffer waits for slow or stuck I/O'),
    ('disk',
     'wait_current_trans btrfs_commit_transaction btrfs_* reserve_ticket wait_reserve_ticket '
     '__reserve_bytes handle_reserve_ticket wait_extent_bit',
     'btrfs: a transaction, or free space, waits for I/O'),
    ('disk',
     'zio_wait txg_wait_synced txg_wait_synced_impl txg_wait_open cv_wait_common zfs_* zil_* dmu_* dbuf_* '
     'arc_* spa_* f2fs_* nilfs_* jfs_* ntfs_* ntfs3_* bcachefs_* bch2_* erofs_* squashfs_* ubifs_* fat_* '
     'exfat_* udf_* isofs_* ovl_* hfsplus_* reiserfs_*',
     'its file system waits for slow or stuck I/O'),
    ('disk',
     'balance_dirty_pages balance_dirty_pages_ratelimited balance_dirty_pages_ratelimited_flags io_schedule'
     ' io_schedule_timeout bit_wait_io __wait_on_bit wait_on_bit_io out_of_line_wait_on_bit',
     'waits for I/O; in balance_dirty_pages: it writes faster than the disk takes it'),
    ('kernel',
     'percpu_rwsem_wait __percpu_down_read percpu_down_write sb_start_write mnt_want_write __sb_start_write'
     ' thaw_super freeze_super sb_wait_write',
     'the file system is frozen (fsfreeze, a snapshot under way or forgotten)'),
    ('memory',
     'reclaim_throttle congestion_wait wait_iff_congested throttle_direct_reclaim try_to_free_pages '
     'shrink_inactive_list shrink_node __alloc_pages_slowpath __alloc_pages_direct_reclaim '
     'do_try_to_free_pages too_many_isolated isolate_migratepages_block compact_zone try_to_compact_pages '
     'out_of_memory __alloc_pages_may_oom',
     'memory is short: it helps to free pages before it may have one'),
    ('memory',
     'mem_cgroup_handle_over_high __mem_cgroup_handle_over_high try_charge try_charge_memcg '
     'try_to_free_mem_cgroup_pages',
     'its cgroup is over memory.high or at its limit: slowed down on purpose'),
    ('oom',
     'mem_cgroup_oom_synchronize mem_cgroup_oom mem_cgroup_out_of_memory mem_cgroup_oom_trylock '
     'pagefault_out_of_memory',
     'its memory cgroup is full and the OOM killer is off or busy: nothing runs until memory is freed'),
    ('memory',
     'do_swap_page swapin_readahead swap_cluster_readahead read_swap_cache_async swapin_folio shmem_swapin*'
     ' migration_entry_wait* __migration_entry_wait* migration_entry_wait_on_locked migrate_pages '
     'hugetlb_fault hugetlb_no_page do_huge_pmd_* do_numa_page alloc_huge_page',
     'a page fault: its page is in swap or is being moved'),
    ('memory',
     'do_user_addr_fault do_page_fault __do_page_fault exc_page_fault do_mem_abort lock_mm_and_find_vma '
     'vm_mmap_pgoff __vm_munmap vm_munmap do_madvise madvise_* do_mprotect_pkey __do_sys_brk '
     '__do_sys_mremap do_mlock mm_populate __mm_populate mm_access mmput exit_mmap get_user_pages* '
     '__get_user_pages* populate_vma_page_range internal_get_user_pages_fast faultin_page '
     'userfaultfd_register uprobe_* do_mincore walk_page_range mmap_read_lock* mmap_write_lock* '
     'vma_start_write __vma_start_write vma_start_read process_vm_rw process_vm_rw_core access_remote_vm '
     '__access_remote_vm m_start smaps_rollup proc_pid_cmdline_read get_mm_cmdline environ_read mem_rw '
     'dup_mm dup_mmap',
     "waits for the process's memory map lock (mmap_lock), or works on its memory map under it"),
    ('kernel',
     'path_openat lookup_open do_last open_last_lookups open_namei walk_component lookup_slow __lookup_slow'
     ' lookup_one_len lookup_one link_path_walk path_lookupat do_unlinkat filename_unlinkat do_rmdir '
     'filename_create do_mkdirat do_renameat2 lock_rename lock_two_directories start_dirop start_creating '
     'start_removing iterate_dir chmod_common chown_common vfs_* do_truncate notify_change '
     'generic_file_write_iter generic_file_llseek do_linkat do_symlinkat do_mknodat setattr_prepare '
     'vfs_getdents inode_lock down_write_nested ext4_file_write_iter ext4_buffered_write_iter xfs_ilock '
     'xfs_file_buffered_write btrfs_inode_lock nfs_start_io_* simple_setattr utimes_common setxattr '
     'do_setxattr removexattr',
     'waits for the lock of a directory or file (inode lock): another task, often one in D, holds it'),
    ('kernel', '__fdget_pos fdget_pos f_lock_pos __f_unlock_pos',
     'another thread is inside read, write or seek on the same descriptor: that one is what hangs'),
    ('kernel', 'd_wait_lookup d_alloc_parallel d_invalidate',
     'another thread is looking up the same name in the same directory: that one is what hangs'),
    ('kernel',
     'iterate_supers* user_get_super super_lock grab_super do_lock_mount namespace_lock namespace_unlock '
     'do_umount ksys_umount path_mount do_mount mntput_no_expire deactivate_super generic_shutdown_super '
     'grab_super_dead',
     'mounting, unmounting or syncing: a file system, or the task that works on it, is stuck'),
    ('kernel',
     'mutex_lock* __mutex_lock* rwsem_* call_rwsem_* down_read* down_write* down_interruptible '
     'down_killable __down* down rt_spin_lock* __ww_mutex_lock* ww_mutex_lock*',
     'waits for a kernel lock that another task holds: look for another task in D'),
    ('kernel', 'wait_for_completion* wait_for_common do_wait_for_common __wait_for_common',
     'waits for other kernel work to finish: /proc/PID/stack, read by root, says which'),
    ('kernel',
     'synchronize_rcu* __wait_rcu_gp __synchronize_srcu synchronize_srcu* rcu_barrier* exp_funnel_lock '
     'synchronize_net synchronize_sched wait_rcu_exp_gp _rcu_barrier* membarrier_*',
     'waits until every CPU has passed a quiet point (RCU): another CPU or worker is stuck or busy'),
    ('kernel',
     '__flush_work flush_work __flush_workqueue flush_workqueue __cancel_work_timer cancel_work_sync '
     'drain_workqueue start_flush_work lru_add_drain_all __lru_add_drain_all stop_one_cpu stop_cpus '
     'stop_two_cpus affine_move_task __set_cpus_allowed_ptr* migration_cpu_stop cpuset_* '
     'schedule_on_each_cpu',
     'waits for a kernel worker or another CPU, which is stuck or kept from running'),
    ('kernel',
     'cgroup_kn_lock_live cgroup_procs_write* __cgroup_procs_write cgroup_lock_and_drain_offline '
     'css_killed* cgroup_* cgroup1_* copy_process cgroup_threadgroup_change_begin cgroup_can_fork',
     'waits for the lock of the cgroup tree: another task in D holds it'),
    ('kernel', 'request_key* key_* keyctl_* wait_for_key_construction',
     'waits for a key that a helper program must supply'),
    ('kernel',
     'call_usermodehelper* kthread_stop kthread_park __request_module idempotent_init_module load_module '
     'do_init_module wait_for_device_probe async_synchronize*',
     'waits for a kernel helper, a module or a device to be ready'),
    ('kernel',
     'rtnl_lock rtnl_lock_killable rtnetlink_rcv_msg dev_ioctl netlink_dump __netlink_dump_start '
     'genl_rcv_msg devinet_ioctl netdev_run_todo unregister_netdevice_many* netdev_wait_allrefs* '
     'copy_net_ns cleanup_net',
     'waits for the network configuration lock: another task is changing interfaces or name spaces'),
    ('kernel', 'wait_for_random_bytes urandom_read random_read',
     'waits for the random generator to be seeded (early boot)'),
    ('kernel',
     'begin_new_exec de_thread proc_pid_attr_* lock_trace proc_pid_stack proc_pid_syscall proc_pid_wchan '
     'ptrace_attach bprm_execve mm_update_* prepare_bprm_creds',
     'executes a program, or looks at one that does: the other threads or the program file keep it waiting'),
    ('coredump',
     'coredump_task_exit do_coredump dump_emit dump_user_range dump_align dump_skip dump_write '
     'elf_core_dump wait_for_dump_helpers coredump_wait vfs_coredump',
     'dumps core: wait for it, or the core_pattern helper hangs'),
    ('exit',
     'exit_mm do_exit do_group_exit exit_notify exit_files exit_fs exit_signals exit_sem futex_cleanup_* '
     '__exit_signal release_task',
     'is exiting: another thread of it, a core dump or its memory keeps it'),
    ('exit', 'zap_pid_ns_processes',
     "init of a container that ends: waits for the container's last processes, look for one in D"),
    ('event', 'seccomp_do_user_notification seccomp_notify_*',
     'waits for a seccomp supervisor (container engine, sandbox) to allow a call'),
    ('event', 'seccomp_notify_recv', 'a seccomp supervisor waiting for something to allow: idle'),
    ('kernel', 'audit_log_start wait_for_auditd audit_receive',
     'the audit queue is full: auditd does not keep up, or is stuck'),
    ('', 'vfs_read vfs_write vfs_readv vfs_writev vfs_iter_read vfs_iter_write vfs_ioctl',
     'inside read, write or ioctl: the descriptor says of what'),
    ('', 'do_syscall_64 do_restart_syscall el0_svc_common invoke_syscall do_el0_svc',
     'a sleep that went on after a stop or an attach (restart_syscall): which call it was is lost'),
    ('kthread-idle',
     'worker_thread rescuer_thread kthreadd smpboot_thread_fn kswapd kcompactd kjournald2 rcu_gp_* '
     'rcu_gp_kthread rcu_gp_fqs_loop rcu_tasks_* rcu_nocb_* nocb_* rcu_expedited* rcu_boost_kthread '
     'irq_thread kthread_worker_fn scsi_error_handler loop_thread oom_reaper khugepaged khugepaged_* '
     'ksm_scan_thread kauditd_thread watchdog xfsaild transaction_kthread cleaner_kthread md_thread kthread'
     ' kswapd_try_to_sleep dmcrypt_write nfsd lockd bdi_writeback_* kdevtmpfs devtmpfsd devtmpfs_work_loop '
     'hub_thread migration_thread cpu_stopper_thread ksoftirqd run_ksoftirqd kthread_parkme fsnotify_mark_*'
     ' psi_rollup_worker psi_poll_worker svc_get_next_xprt ipmi_thread damon_* kcryptd_* kmmpd lmLogSync '
     'usb_stor_control_thread napi_threaded_poll vhost_worker vhost_task_fn mtd_* ubi_thread hwrng_fillfn '
     'balloon* xenbus_thread xenwatch_thread khvcd svc_recv',
     'a kernel thread without work: normal'),
)

# What the kernel puts before the name of a system call in the name of the function that carries it out.
_CALL_PREFIXES = ('__x64_sys_', '__arm64_sys_', '__ia32_sys_', '__ia32_compat_sys_', '__x32_compat_sys_',
                  '__arm64_compat_sys_', '__se_compat_sys_', '__do_compat_sys_', '__do_sys_', '__se_sys_', 'compat_sys_',
                  '__sys_', 'ksys_', 'SyS_', 'SYSC_', 'sys_')


class WchanRow(NamedTuple):
    name: str               # as the kernel says it, without what follows the dot
    kind: str               # a wait kind; '' when the system call and its descriptor decide
    text: str               # what it means


_wchans, _wchan_prefixes = {}, []


def _split_wchans():
    """Fill _wchans {exact name: (kind, text)} and _wchan_prefixes [(prefix, kind, text)], the longest first. First row wins."""
    for kind, names, meaning in WCHANS:
        for name in names.split():
            if name.endswith('*'):
                _wchan_prefixes.append((name[:-1], kind, meaning))
            else:
                _wchans.setdefault(name, (kind, meaning))
    _wchan_prefixes.sort(key=lambda row: -len(row[0]))


def wchan_stem(name):
    """'[<0>] futex_do_wait.isra.0+0x40/0x90 [mod]' -> 'futex_do_wait': of a wchan, or of a line of /proc/PID/stack."""
    name = (name or '').strip()
    if name.startswith('[<'):
        name = name.partition(']')[2].strip()
    return re.split(r'[.+\s]', name, maxsplit=1)[0] if name else ''


def _known_call(name):
    """Whether some architecture has a system call of that name."""
    return any(syscall_number(arch, name) is not None for arch in ARCHITECTURES)


def _wchan_call(stem):
    """The WchanRow of a function that is a system call itself ('__x64_sys_flock', '__do_sys_pause'), or None."""
    for prefix in _CALL_PREFIXES:
        call = stem[len(prefix):]
        if stem.startswith(prefix) and _known_call(call):
            return WchanRow(stem, call_kind('', call), 'asleep in the system call %s itself' % call)
    return None


def wchan_row(name):
    """The WchanRow of a wait channel, or of a function of a stack; None for '0', '', None and names that no row has."""
    stem = wchan_stem(name)
    if not stem or stem == '0':
        return None
    if not _wchans:
        _split_wchans()
    if stem in _wchans:
        return WchanRow(stem, *_wchans[stem])
    called = _wchan_call(stem)
    if called:
        return called
    for prefix, kind, meaning in _wchan_prefixes:
        if stem.startswith(prefix):
            return WchanRow(stem, kind, meaning)
    return None


# States of a thread: letter, the kernel's word, what it means, what it excludes.
STATES = (
    ('R', 'running',
     'It runs, or is ready and waits for a CPU.',
     'It waits for no lock and no I/O. If it gets nowhere it loops (CPU time grows), or is kept from '
     'running (throttled by its cgroup, or starved: CPU time stands still).'),
    ('S', 'sleeping',
     'It waits for something and a signal would wake it.',
     'It uses no CPU. Whether that is idleness or a hang, only what it waits for can tell. A process frozen'
     ' by cgroup.freeze (v2) also says S.'),
    ('D', 'disk sleep',
     'It waits in the kernel and no ordinary signal wakes it; kill -9 works only if the wait is killable.',
     'It is not always the disk: a vfork parent, a frozen v1 cgroup, NFS, FUSE, a memory cgroup out of '
     'memory and kernel locks are D as well.'),
    ('T', 'stopped',
     'Stopped by SIGSTOP, SIGTSTP (Ctrl-Z), SIGTTIN or SIGTTOU.',
     'It is neither crashed nor locked: SIGCONT resumes it, and until then no signal but SIGKILL has an '
     'effect.'),
    ('t', 'tracing stop',
     'Held by a debugger or tracer (gdb, strace): TracerPid in status.',
     'It is not hung by itself: it goes on when the tracer lets it, or when the tracer ends.'),
    ('Z', 'zombie',
     'It has ended; its parent has not asked for its exit status yet.',
     'It cannot be killed and holds no memory, files or locks. A main thread may be Z while other threads '
     'live (Threads: 2 or more).'),
    ('X', 'dead', 'It is being removed: seen for a moment at most.', 'It does nothing any more.'),
    ('x', 'dead', 'As X, in kernels 2.6.33 to 3.13.', 'It does nothing any more.'),
    ('I', 'idle',
     'A kernel thread that sleeps without counting towards the load average.',
     'It is no process of a program, and nothing is wrong.'),
    ('P', 'parked',
     'A kernel thread set aside, for instance of a CPU that is off.',
     'It is no process of a program.'),
    ('K', 'wakekill', 'Sleeps and wakes for a fatal signal only (kernels 2.6.33 to 3.13).', 'It is not runnable.'),
    ('W', 'waking', 'Is being woken (2.6.33 to 3.13); paging in kernels before 2.6.', 'Seen for a moment at most.'),
)
# What ps writes after the letter in its STAT column.
PS_FLAGS = (
    ('<', 'high priority (negative nice)'), ('N', 'low priority (nice)'), ('L', 'has pages locked in memory'),
    ('s', 'session leader'), ('l', 'has several threads'), ('+', 'in the foreground of its terminal'),
)


def state_row(letter):
    """The row of STATES of a state letter, or None."""
    for row in STATES:
        if row[0] == letter:
            return row
    return None


# Signals as x86 and ARM number them: number, name, what it does by default, what sends it.
SIGNALS = (
    (1, 'SIGHUP', 'ends', 'the terminal or session is gone; daemons reread their configuration'),
    (2, 'SIGINT', 'ends', 'Ctrl-C'),
    (3, 'SIGQUIT', 'core dump', 'Ctrl-\\; a JVM prints its thread stacks instead'),
    (4, 'SIGILL', 'core dump', 'an illegal instruction'),
    (5, 'SIGTRAP', 'core dump', 'a breakpoint, for the debugger'),
    (6, 'SIGABRT', 'core dump', 'abort(): an assertion, a damaged heap'),
    (7, 'SIGBUS', 'core dump', 'a mapped page that does not exist: truncated file, full tmpfs, bad memory'),
    (8, 'SIGFPE', 'core dump', 'integer division by zero and the like'),
    (9, 'SIGKILL', 'ends', 'kill -9, the OOM killer; cannot be caught or blocked, only delayed by state D'),
    (10, 'SIGUSR1', 'ends', 'the program\'s own use'),
    (11, 'SIGSEGV', 'core dump', 'an access to memory that is not there'),
    (12, 'SIGUSR2', 'ends', 'the program\'s own use'),
    (13, 'SIGPIPE', 'ends', 'wrote to a pipe or socket that nobody reads'),
    (14, 'SIGALRM', 'ends', 'alarm() or setitimer() ran out'),
    (15, 'SIGTERM', 'ends', 'kill, systemctl stop, docker stop: please end'),
    (16, 'SIGSTKFLT', 'ends', 'not used'),
    (17, 'SIGCHLD', 'ignored', 'a child ended or stopped'),
    (18, 'SIGCONT', 'resumes', 'fg, kill -CONT: goes on after a stop'),
    (19, 'SIGSTOP', 'stops', 'kill -STOP; cannot be caught or blocked'),
    (20, 'SIGTSTP', 'stops', 'Ctrl-Z'),
    (21, 'SIGTTIN', 'stops', 'a background job reads the terminal'),
    (22, 'SIGTTOU', 'stops', 'a background job writes to or sets the terminal'),
    (23, 'SIGURG', 'ignored', 'urgent data on a socket; Go preempts its goroutines with it'),
    (24, 'SIGXCPU', 'core dump', 'over the CPU time limit (ulimit -t)'),
    (25, 'SIGXFSZ', 'core dump', 'over the file size limit (ulimit -f)'),
    (26, 'SIGVTALRM', 'ends', 'a timer of CPU time ran out'),
    (27, 'SIGPROF', 'ends', 'the profiling timer ran out'),
    (28, 'SIGWINCH', 'ignored', 'the terminal changed its size'),
    (29, 'SIGIO', 'ends', 'a descriptor is ready (also called SIGPOLL)'),
    (30, 'SIGPWR', 'ends', 'power failure'),
    (31, 'SIGSYS', 'core dump', 'a forbidden system call (seccomp)'),
    (32, 'SIG32', 'ends', 'the C library\'s own: thread cancellation (glibc), timers (musl)'),
    (33, 'SIG33', 'ends', 'the C library\'s own: setuid in all threads (glibc), thread cancellation (musl)'),
) + tuple((34 + n, 'SIGRTMIN+%d' % n if n else 'SIGRTMIN', 'ends', 'the program itself: a real-time signal')
          for n in range(30)) + ((64, 'SIGRTMAX', 'ends', 'the program itself: the last real-time signal (SIGRTMIN+30)'),)
SIGNAL_ALIASES = {'SIGIOT': 6, 'SIGCLD': 17, 'SIGPOLL': 29, 'SIGUNUSED': 31, 'SIGCANCEL': 32, 'SIGSETXID': 33,
                  'SIGRTMIN+30': 64}


def signal_name(nr):
    """'SIGTERM' for 15; 'signal 70' for what has no name."""
    return SIGNALS[nr - 1][1] if isinstance(nr, int) and 0 < nr <= len(SIGNALS) else 'signal %s' % nr


def signal_number(name):
    """15 for 'SIGTERM', 'TERM' or 'sigterm', 35 for 'SIGRTMIN+1', 63 for 'SIGRTMAX-1'; None for what is no signal."""
    name = name.upper()
    name = name if name.startswith('SIG') else 'SIG' + name
    for row in SIGNALS:
        if row[1] == name:
            return row[0]
    if name.startswith('SIGRTMAX-'):
        below = number(name[9:])
        return 64 - below if below is not None and 0 <= below <= 30 else None
    return SIGNAL_ALIASES.get(name)


def signal_mask(mask):
    """A signal mask (hex text of status, an int, or None) as an int; None for garbage. Bit 0 is signal 1."""
    value = number(mask.strip(), 16) if isinstance(mask, str) else mask
    return value if isinstance(value, int) and value >= 0 else None


def signal_names(mask):
    """The signals of a mask: '0000000000004000' or 0x4000 -> ['SIGTERM']."""
    value = signal_mask(mask) or 0
    return [row[1] for row in SIGNALS if value >> (row[0] - 1) & 1]


# Errors: number, name, meaning. 512 and up never leave the kernel, but strace and kernel logs show them.
ERRNOS = (
    (1, 'EPERM', 'not permitted: needs another user or a capability'),
    (2, 'ENOENT', 'no such file or directory'),
    (3, 'ESRCH', 'no such process: it has ended'),
    (4, 'EINTR', 'a signal interrupted the call'),
    (5, 'EIO', 'the device or file system failed'),
    (6, 'ENXIO', 'no such device; or a FIFO opened for writing without a reader'),
    (7, 'E2BIG', 'arguments and environment too long'),
    (8, 'ENOEXEC', 'not a program that can be executed'),
    (9, 'EBADF', 'the descriptor is not open, or not open for that'),
    (10, 'ECHILD', 'has no child to wait for'),
    (11, 'EAGAIN', 'not now: it would have to wait (non-blocking), or a limit is reached; also EWOULDBLOCK'),
    (12, 'ENOMEM', 'out of memory, of mappings (vm.max_map_count) or of address space'),
    (13, 'EACCES', 'file permissions or a security module refuse'),
    (14, 'EFAULT', 'a bad address was passed'),
    (15, 'ENOTBLK', 'not a block device'),
    (16, 'EBUSY', 'in use'),
    (17, 'EEXIST', 'the file exists already'),
    (18, 'EXDEV', 'the two names are on different file systems'),
    (19, 'ENODEV', 'no such device, or the device cannot do that'),
    (20, 'ENOTDIR', 'a part of the path is not a directory'),
    (21, 'EISDIR', 'is a directory'),
    (22, 'EINVAL', 'an argument makes no sense here'),
    (23, 'ENFILE', 'the whole system is out of open files (fs.file-max)'),
    (24, 'EMFILE', 'the process is out of descriptors (ulimit -n)'),
    (25, 'ENOTTY', 'not a terminal, or the file does not know that ioctl'),
    (26, 'ETXTBSY', 'the program file is being executed, or is open for writing'),
    (27, 'EFBIG', 'the file would get too big (ulimit -f)'),
    (28, 'ENOSPC', 'disk full; or out of inotify watches, or of inodes'),
    (29, 'ESPIPE', 'pipes and sockets cannot seek'),
    (30, 'EROFS', 'the file system is read-only'),
    (31, 'EMLINK', 'too many hard links'),
    (32, 'EPIPE', 'nobody reads the other end of the pipe or socket'),
    (33, 'EDOM', 'argument outside the domain of a function'),
    (34, 'ERANGE', 'result too large for its place'),
    (35, 'EDEADLK', 'the lock would deadlock; also EDEADLOCK'),
    (36, 'ENAMETOOLONG', 'file name too long'),
    (37, 'ENOLCK', 'no locks left, or the lock server does not answer'),
    (38, 'ENOSYS', 'this kernel does not have that system call'),
    (39, 'ENOTEMPTY', 'the directory is not empty'),
    (40, 'ELOOP', 'too many symbolic links in a path'),
    (42, 'ENOMSG', 'no message of that type in the queue'),
    (43, 'EIDRM', 'the semaphore set or queue was removed'),
    (44, 'ECHRNG', 'channel number out of range'),
    (45, 'EL2NSYNC', 'level 2 not synchronized'),
    (46, 'EL3HLT', 'level 3 halted'),
    (47, 'EL3RST', 'level 3 reset'),
    (48, 'ELNRNG', 'link number out of range'),
    (49, 'EUNATCH', 'protocol driver not attached'),
    (50, 'ENOCSI', 'no CSI structure available'),
    (51, 'EL2HLT', 'level 2 halted'),
    (52, 'EBADE', 'invalid exchange'),
    (53, 'EBADR', 'invalid request descriptor'),
    (54, 'EXFULL', 'exchange full'),
    (55, 'ENOANO', 'no anode'),
    (56, 'EBADRQC', 'invalid request code'),
    (57, 'EBADSLT', 'invalid slot'),
    (59, 'EBFONT', 'bad font file format'),
    (60, 'ENOSTR', 'not a stream'),
    (61, 'ENODATA', 'no data; no such extended attribute'),
    (62, 'ETIME', 'timer expired'),
    (63, 'ENOSR', 'out of streams resources'),
    (64, 'ENONET', 'not on the network'),
    (65, 'ENOPKG', 'package not installed'),
    (66, 'EREMOTE', 'object is remote'),
    (67, 'ENOLINK', 'link severed'),
    (68, 'EADV', 'advertise error'),
    (69, 'ESRMNT', 'srmount error'),
    (70, 'ECOMM', 'communication error on send'),
    (71, 'EPROTO', 'the other side broke the protocol'),
    (72, 'EMULTIHOP', 'multihop attempted'),
    (73, 'EDOTDOT', 'RFS specific error'),
    (74, 'EBADMSG', 'not a message that can be read; a checksum is wrong'),
    (75, 'EOVERFLOW', 'value too large for its type'),
    (76, 'ENOTUNIQ', 'name not unique on the network'),
    (77, 'EBADFD', 'descriptor in a bad state'),
    (78, 'EREMCHG', 'remote address changed'),
    (79, 'ELIBACC', 'cannot access a needed shared library'),
    (80, 'ELIBBAD', 'a shared library is damaged'),
    (81, 'ELIBSCN', '.lib section of a.out damaged'),
    (82, 'ELIBMAX', 'too many shared libraries'),
    (83, 'ELIBEXEC', 'cannot execute a shared library directly'),
    (84, 'EILSEQ', 'invalid byte sequence'),
    (85, 'ERESTART', 'the call should be restarted'),
    (86, 'ESTRPIPE', 'streams pipe error'),
    (87, 'EUSERS', 'too many users'),
    (88, 'ENOTSOCK', 'not a socket'),
    (89, 'EDESTADDRREQ', 'needs a destination address'),
    (90, 'EMSGSIZE', 'message too long'),
    (91, 'EPROTOTYPE', 'wrong protocol for the socket type'),
    (92, 'ENOPROTOOPT', 'no such socket option'),
    (93, 'EPROTONOSUPPORT', 'protocol not supported'),
    (94, 'ESOCKTNOSUPPORT', 'socket type not supported'),
    (95, 'EOPNOTSUPP', 'not supported by this object; also ENOTSUP'),
    (96, 'EPFNOSUPPORT', 'protocol family not supported'),
    (97, 'EAFNOSUPPORT', 'address family not supported (IPv6 off?)'),
    (98, 'EADDRINUSE', 'the address or port is taken; out of local ports'),
    (99, 'EADDRNOTAVAIL', 'not an address of this machine; out of local ports'),
    (100, 'ENETDOWN', 'the network is down'),
    (101, 'ENETUNREACH', 'no route to that network'),
    (102, 'ENETRESET', 'the network dropped the connection'),
    (103, 'ECONNABORTED', 'the connection was aborted on this side'),
    (104, 'ECONNRESET', 'the peer reset the connection'),
    (105, 'ENOBUFS', 'no buffer space'),
    (106, 'EISCONN', 'connected already'),
    (107, 'ENOTCONN', 'not connected'),
    (108, 'ESHUTDOWN', 'sending was shut down'),
    (109, 'ETOOMANYREFS', 'too many descriptors under way over unix sockets'),
    (110, 'ETIMEDOUT', 'no answer in time'),
    (111, 'ECONNREFUSED', 'nobody listens there'),
    (112, 'EHOSTDOWN', 'the host is down'),
    (113, 'EHOSTUNREACH', 'no route to the host, or it does not answer ARP'),
    (114, 'EALREADY', 'an earlier connect is still under way'),
    (115, 'EINPROGRESS', 'the connect goes on in the background (non-blocking)'),
    (116, 'ESTALE', 'the file is gone from the NFS server: unmount and mount again'),
    (117, 'EUCLEAN', 'the file system is damaged (needs fsck)'),
    (118, 'ENOTNAM', 'not a XENIX named type file'),
    (119, 'ENAVAIL', 'no XENIX semaphores available'),
    (120, 'EISNAM', 'is a named type file'),
    (121, 'EREMOTEIO', 'remote I/O error'),
    (122, 'EDQUOT', 'over the disk quota'),
    (123, 'ENOMEDIUM', 'no medium in the drive'),
    (124, 'EMEDIUMTYPE', 'wrong medium type'),
    (125, 'ECANCELED', 'the operation was cancelled'),
    (126, 'ENOKEY', 'the key is not there'),
    (127, 'EKEYEXPIRED', 'the key has expired'),
    (128, 'EKEYREVOKED', 'the key was revoked'),
    (129, 'EKEYREJECTED', 'the key was rejected (module signature?)'),
    (130, 'EOWNERDEAD', 'the owner of a robust mutex died holding it'),
    (131, 'ENOTRECOVERABLE', 'a robust mutex whose owner died was not repaired'),
    (132, 'ERFKILL', 'the radio is switched off'),
    (133, 'EHWPOISON', 'the memory page is broken'),
    (512, 'ERESTARTSYS', 'interrupted by a signal; restarted if the handler has SA_RESTART, else EINTR'),
    (513, 'ERESTARTNOINTR', 'interrupted by a signal; always restarted'),
    (514, 'ERESTARTNOHAND', 'interrupted by a signal; restarted if no handler ran, else EINTR'),
    (515, 'ENOIOCTLCMD', 'the driver does not know that ioctl'),
    (516, 'ERESTART_RESTARTBLOCK', 'interrupted; goes on through restart_syscall'),
    (517, 'EPROBE_DEFER', 'a driver asks to be tried again later'),
    (518, 'EOPENSTALE', 'opening found a stale file'),
    (519, 'ENOPARAM', 'no such parameter'),
    (521, 'EBADHANDLE', 'bad NFS file handle'),
    (522, 'ENOTSYNC', 'NFS: update out of step'),
    (523, 'EBADCOOKIE', 'NFS: bad directory cookie'),
    (524, 'ENOTSUPP', 'not supported (kernel internal)'),
    (525, 'ETOOSMALL', 'NFS: buffer or request too small'),
    (526, 'ESERVERFAULT', 'NFS: the server has an error of its own'),
    (527, 'EBADTYPE', 'NFS: type not supported by the server'),
    (528, 'EJUKEBOX', 'NFS: the server asks to try again later'),
    (529, 'EIOCBQUEUED', 'the I/O was queued'),
    (530, 'ERECALLCONFLICT', 'NFS: conflict with a recalled lease'),
    (531, 'ENOGRACE', 'NFS: the grace period for reclaiming locks is over'),
)
ERRNO_ALIASES = {'EWOULDBLOCK': 11, 'EDEADLOCK': 35, 'ENOTSUP': 95}


def errno_row(word):
    """The row of ERRNOS of a number or a name ('EAGAIN', 'ewouldblock'), or None."""
    wanted = ERRNO_ALIASES.get(word.upper(), word.upper()) if isinstance(word, str) else word
    for row in ERRNOS:
        if wanted in row[:2]:
            return row
    return None


# `st` of net/tcp, tcp6, udp, udp6 (hex there): name, meaning.
TCP_STATE_ROWS = {
    0x01: ('ESTABLISHED', 'connected; for UDP: has a fixed peer'),
    0x02: ('SYN_SENT', 'connecting: no answer yet (dropped, filtered, or the accept queue is full)'),
    0x03: ('SYN_RECV', 'a client is connecting'),
    0x04: ('FIN_WAIT1', 'closed here, not acknowledged yet'),
    0x05: ('FIN_WAIT2', 'closed here; the peer has not closed'),
    0x06: ('TIME_WAIT', 'closed; kept for a minute against late packets, belongs to no process'),
    0x07: ('CLOSE', 'not connected; for UDP: bound, without a fixed peer'),
    0x08: ('CLOSE_WAIT', 'the peer has closed and this program has not: it leaks, or is stuck'),
    0x09: ('LAST_ACK', 'both closed; the last acknowledgement is missing'),
    0x0a: ('LISTEN', 'waits for clients; rx_queue is the number not yet accepted'),
    0x0b: ('CLOSING', 'both closed at once'),
    0x0c: ('NEW_SYN_RECV', 'a client is connecting'),
    0x0d: ('BOUND_INACTIVE', 'bound, not connected (only sock_diag shows it)'),
}
# First part of `tr tm->when` of net/tcp.
TCP_TIMER_WORDS = {
    0: ('none', 'no timer runs'),
    1: ('retransmit', 'sent data is not acknowledged: it will be sent again'),
    2: ('keepalive', 'idle: the peer will be probed'),
    3: ('time-wait', 'waits out TIME_WAIT'),
    4: ('probe', 'the peer\'s window is zero: it does not read, and is asked whether it does now'),
}
# `St` and `Type` of net/unix; Flags 00010000 is a listener.
UNIX_STATES = {0: 'FREE', 1: 'UNCONNECTED', 2: 'CONNECTING', 3: 'CONNECTED', 4: 'DISCONNECTING'}
UNIX_TYPE_WORDS = {1: 'STREAM', 2: 'DGRAM', 5: 'SEQPACKET'}


# Field 41 of stat. Whoever is SCHED_FIFO or SCHED_RR goes before everybody else.
SCHED_POLICIES = {
    0: ('SCHED_OTHER', 'ordinary time sharing, by nice'),
    1: ('SCHED_FIFO', 'real time: runs before all ordinary tasks, until it sleeps'),
    2: ('SCHED_RR', 'real time, in turns with those of its priority'),
    3: ('SCHED_BATCH', 'time sharing for long computations'),
    5: ('SCHED_IDLE', 'runs only when nothing else wants to'),
    6: ('SCHED_DEADLINE', 'real time with a guaranteed share per period'),
    7: ('SCHED_EXT', 'scheduled by a BPF program'),
}

# /proc/PID/limits: its name there, RLIMIT_ name, ulimit option, what happens at the limit.
RLIMIT_WORDS = (
    ('Max cpu time', 'CPU', '-t', 'SIGXCPU at the soft limit, SIGKILL at the hard one'),
    ('Max file size', 'FSIZE', '-f', 'writing fails with EFBIG, and SIGXFSZ'),
    ('Max data size', 'DATA', '-d', 'brk, mmap and malloc fail with ENOMEM'),
    ('Max stack size', 'STACK', '-s', 'SIGSEGV on deep recursion; also the default size of thread stacks'),
    ('Max core file size', 'CORE', '-c', 'core dumps are cut short; 0: there are none'),
    ('Max resident set', 'RSS', '-m', 'nothing: Linux ignores it'),
    ('Max processes', 'NPROC', '-u', 'fork and new threads fail with EAGAIN; counts all threads of the user'),
    ('Max open files', 'NOFILE', '-n', 'open, socket, accept fail with EMFILE'),
    ('Max locked memory', 'MEMLOCK', '-l', 'mlock, io_uring, BPF fail with ENOMEM or EPERM'),
    ('Max address space', 'AS', '-v', 'mmap and malloc fail with ENOMEM'),
    ('Max file locks', 'LOCKS', '-x', 'nothing: Linux ignores it'),
    ('Max pending signals', 'SIGPENDING', '-i', 'sigqueue and timers fail with EAGAIN (SigQ in status)'),
    ('Max msgqueue size', 'MSGQUEUE', '-q', 'mq_open fails with EMFILE'),
    ('Max nice priority', 'NICE', '-e', 'the lowest nice value is 20 minus this'),
    ('Max realtime priority', 'RTPRIO', '-r', 'the highest real-time priority it may ask for'),
    ('Max realtime timeout', 'RTTIME', '-R', 'SIGXCPU, then SIGKILL, for real-time tasks that never sleep'),
)

# /proc/PID/ns: name, what it isolates.
NAMESPACE_ROWS = (
    ('cgroup', 'the root of the cgroup tree that /proc/PID/cgroup shows'),
    ('ipc', 'System V semaphores, queues and shared memory; POSIX message queues'),
    ('mnt', 'the mounts: what files exist under which path'),
    ('net', 'interfaces, addresses, routes, sockets, ports, abstract unix sockets, firewall'),
    ('pid', 'process numbers; its first process is 1 and takes all others with it'),
    ('pid_for_children', 'the pid namespace of children made from now on'),
    ('time', 'the offsets of the monotonic and boot-time clocks'),
    ('time_for_children', 'the time namespace of children made from now on'),
    ('user', 'users, groups and capabilities: root inside need not be root outside'),
    ('uts', 'host name and domain name'),
)

# Bits of field 9 (flags) of stat that say something about a hang.
TASK_FLAGS = (
    (0x00000004, 'PF_EXITING', 'it is ending'),
    (0x00000010, 'PF_IO_WORKER', 'a worker thread of io_uring, made by the kernel'),
    (0x00000020, 'PF_WQ_WORKER', 'a worker of a kernel work queue'),
    (0x00000040, 'PF_FORKNOEXEC', 'forked, and has not executed a program since'),
    (0x00000200, 'PF_DUMPCORE', 'dumped core'),
    (0x00000400, 'PF_SIGNALED', 'killed by a signal'),
    (0x00000800, 'PF_MEMALLOC', 'is freeing memory'),
    (0x00020000, 'PF_KSWAPD', 'the kernel thread that frees memory'),
    (0x00200000, 'PF_KTHREAD', 'a kernel thread'),
)

# Who may read a file of /proc/PID. The kernel answers EACCES, or EPERM, or for wchan "0".
RIGHTS = {
    'any': 'anyone who sees the process',
    'owner': 'the same user, or root',
    'read': 'the same user with no fewer capabilities, or CAP_SYS_PTRACE',
    'attach': 'as for attaching a debugger: the same user and dumpable, unless Yama forbids it, or CAP_SYS_PTRACE',
    'admin': 'root of the host (CAP_SYS_ADMIN)',
    'nice': 'the process itself, or CAP_SYS_NICE',
}
MMAP_DANGER = 'may block for ever: it takes the lock of the memory map (mmap_lock)'

# /proc/PID and /proc/PID/task/TID: name, who may read it (a key of RIGHTS), danger, what it tells, its use in a hang.
PROC_FILES = (
    ('arch_status', 'any', '', 'time since the last AVX-512 use (x86)', 'none'),
    ('attr', 'any', '', 'security labels (SELinux, AppArmor): attr/current', 'which policy may be refusing it'),
    ('autogroup', 'any', '', 'scheduling group of its session, and the group\'s nice value',
     'a nice value that seems not to matter: it only counts within the group'),
    ('auxv', 'read', '', 'what the kernel handed to the program at its start (binary)',
     'entries of 8 bytes: a 32-bit process; page size and clock ticks'),
    ('cgroup', 'any', '', 'its control groups, a line for each hierarchy (0:: is v2)',
     'the way to cpu.stat, memory.events, pids.max, cgroup.freeze under /sys/fs/cgroup'),
    ('children', 'any', '', 'the children of a thread (task/TID/children)', 'who a waiting parent waits for'),
    ('clear_refs', 'owner', 'writing resets counters of the process', 'nothing: it is only written to', 'none'),
    ('cmdline', 'any', MMAP_DANGER, 'the arguments, separated by zero bytes; the program may overwrite them',
     'what it is; ps hangs on it when the mmap_lock is held'),
    ('comm', 'any', '', 'the name of the thread, 15 bytes at most', 'the role of a thread: GC, worker, iou-wrk'),
    ('coredump_filter', 'any', '', 'which mappings go into a core dump (bits)', 'a core that lacks memory'),
    ('cpu_resctrl_groups', 'any', '', 'its cache and bandwidth control groups', 'unfair sharing of cache'),
    ('cpuset', 'any', '', 'the cpuset it is in (v1)', 'which CPUs it is confined to'),
    ('cwd', 'read', 'stat through it may hang on a dead mount', 'link to the working directory',
     'works in a deleted directory, or on a dead mount (only readlink is safe)'),
    ('environ', 'read', MMAP_DANGER, 'the environment at its start, separated by zero bytes; later setenv is not seen',
     'configuration; it holds secrets'),
    ('exe', 'read', 'older kernels take the mmap_lock; stat through it may hang', 'link to the program file',
     '(deleted): it runs a version that was replaced'),
    ('fd', 'read', 'stat through an entry may hang on a dead mount', 'a link for each open descriptor',
     'what a blocked read waits for; how near the limit it is; leaks'),
    ('fdinfo', 'read', '', 'position, flags, and for epoll, eventfd, timerfd, inotify, locks their contents',
     'a position that moves; what an epoll waits for; who holds a lock'),
    ('gid_map', 'any', '', 'group numbers inside and outside its user namespace', 'permission riddles in containers'),
    ('io', 'read', '', 'bytes and calls read and written', 'two readings: does it do I/O at all?'),
    ('ksm_merging_pages', 'owner', '', 'number of its pages that KSM merged', 'none'),
    ('ksm_stat', 'owner', '', 'more of KSM', 'none'),
    ('latency', 'any', '', 'what it waited for, if latencytop is built in and on', 'where time went'),
    ('limits', 'any', '', 'resource limits, soft and hard (ulimit)', 'Max open files against the number in fd'),
    ('loginuid', 'any', '', 'the user who logged in, whatever su did later; 4294967295: none', 'who started it'),
    ('map_files', 'read', MMAP_DANGER, 'a link for each mapped file', 'opens deleted files that are only mapped'),
    ('maps', 'read', MMAP_DANGER + '; not from Linux 6.17 on', 'its mappings: addresses, rights, file',
     '(deleted) libraries; whose memory a futex lies in; number of mappings'),
    ('mem', 'attach', MMAP_DANGER + '; pages of a dead FUSE mount hang for good', 'its memory itself',
     'the owner of the mutex that a thread waits for'),
    ('mountinfo', 'any', '', 'the mounts that it sees, with device numbers', 'which mount a path is on, and of which type'),
    ('mounts', 'any', '', 'the mounts that it sees', 'NFS, FUSE: what may not answer'),
    ('mountstats', 'owner', '', 'counters of its NFS mounts', 'NFS: requests sent, retransmitted, queued'),
    ('net', 'any', 'absent for a zombie main thread', 'the network of its namespace: tcp, tcp6, udp, unix, netstat',
     'sockets by inode: state, queues, timers, peer'),
    ('ns', 'read', '', 'a link for each namespace: net:[4026531840]', 'equal numbers: the same namespace'),
    ('numa_maps', 'read', MMAP_DANGER, 'mappings by memory node', 'memory on the wrong node'),
    ('oom_adj', 'any', '', 'the old form of oom_score_adj, -17 to 15', 'none'),
    ('oom_score', 'any', '', 'how likely the OOM killer picks it', 'who goes next'),
    ('oom_score_adj', 'any', '', '-1000 (never) to 1000 added to it', 'protected, or the first to go'),
    ('pagemap', 'read', MMAP_DANGER, 'page by page where its memory is (binary)', 'which pages are swapped'),
    ('patch_state', 'owner', '', 'live patching: 1 patched, 0 not yet, -1 none under way',
     'a live patch that does not finish'),
    ('personality', 'attach', '', 'execution domain (bits), as ADDR_NO_RANDOMIZE 0040000', 'odd addresses'),
    ('projid_map', 'any', '', 'project numbers of its user namespace', 'none'),
    ('root', 'read', 'stat through it may hang on a dead mount', 'link to its root directory: /proc/PID/root/etc/hosts',
     'the files of a container, seen from outside'),
    ('sched', 'any', '', 'scheduler counters; se.exec_start: when it last ran (ms)', 'for how long it has not run'),
    ('schedstat', 'any', '', 'ns on a CPU, ns waiting for one, number of turns',
     'the second grows: starved or throttled; the third stands still: it has not run at all'),
    ('seccomp_cache', 'admin', '', 'which calls its seccomp filter always allows', 'none'),
    ('sessionid', 'any', '', 'audit session; 4294967295: none', 'none'),
    ('setgroups', 'any', '', 'whether its user namespace may drop groups', 'none'),
    ('smaps', 'read', MMAP_DANGER + ', and is slow for big processes', 'memory of each mapping: Rss, Pss, Swap',
     'where the memory went'),
    ('smaps_rollup', 'read', MMAP_DANGER, 'the sum of smaps', 'Pss, Swap, Anonymous of all'),
    ('stack', 'admin', '', 'kernel functions that the thread is in, the innermost first',
     'state D: which file system, driver or lock'),
    ('stat', 'any', '', 'one line of 52 numbers: state, parent, CPU ticks, faults (explain a field\'s name)',
     'two readings: do utime and stime grow?'),
    ('statm', 'any', '', 'memory in pages: size resident shared text 0 data 0', 'growth'),
    ('status', 'any', '', 'state, memory, signals, capabilities, context switches, readable',
     'State, Threads, SigBlk, TracerPid, switches'),
    ('syscall', 'attach', '', 'the call it blocks in: number, six arguments, stack pointer, program counter',
     'what it waits for. "running": not blocked; -1: blocked outside a call (page fault, stop)'),
    ('task', 'any', '', 'a directory for each thread, with most of these files',
     'which thread hangs: never look at the main thread alone'),
    ('timens_offsets', 'any', '', 'offsets of its time namespace', 'clocks that differ'),
    ('timers', 'any', '', 'its POSIX timers', 'a timer that should have fired'),
    ('timerslack_ns', 'nice', '', 'by how much its sleeps may be late (ns)', 'late timers'),
    ('uid_map', 'any', '', 'user numbers inside and outside its user namespace', 'permission riddles in containers'),
    ('wchan', 'any', '"0" for those who may not know', 'the kernel function that the thread sleeps in',
     'what kind of wait: explain NAME. "0": runs, or not allowed, or a kernel (x86_64, 4.14 to 5.15) that cannot tell'),
)

# Files of the whole system: path, danger or rights, what it tells, its use in a hang.
PROC_SYSTEM = (
    ('/proc/buddyinfo', '', 'free memory by block size', 'fragmentation: free memory, but no large blocks'),
    ('/proc/cgroups', '', 'v1 controllers and hierarchies', 'which controllers are v1'),
    ('/proc/cmdline', '', 'kernel command line', 'isolcpus, mitigations, cgroup version'),
    ('/proc/config.gz', '', 'how the kernel was built', 'missing features'),
    ('/proc/cpuinfo', '', 'the CPUs', 'how many, how fast'),
    ('/proc/devices', '', 'major numbers and their drivers', 'which driver a device number belongs to'),
    ('/proc/diskstats',
     '',
     'I/O counters by disk; field 12: requests under way',
     'requests under way that never end'),
    ('/proc/filesystems', '', 'file system types the kernel knows', 'none'),
    ('/proc/interrupts', '', 'interrupts by CPU and source', 'a storm on one CPU'),
    ('/proc/kallsyms', 'root sees addresses', 'kernel symbols', 'which module has a function'),
    ('/proc/keys', '', 'kernel keys', 'request-key that hangs'),
    ('/proc/kmsg',
     'reading takes messages away; use dmesg',
     'kernel log',
     '"blocked for more than 120 seconds", OOM kills'),
    ('/proc/kpagecount', 'root', 'how often each page is mapped', 'none'),
    ('/proc/loadavg',
     '',
     'load over 1, 5, 15 minutes; running/total; last pid',
     'counts R and D: high load with idle CPUs means tasks in D'),
    ('/proc/locks',
     "other pid namespaces' locks are left out",
     'file locks; a line with -> waits for the one of the same number',
     'who holds the file lock; OFD locks say pid -1'),
    ('/proc/lockdep', 'debug kernels', 'kernel lock classes', 'none'),
    ('/proc/mdstat', '', 'software RAID', 'a rebuild or a missing disk behind slow I/O'),
    ('/proc/meminfo', '', 'memory of the machine', 'MemAvailable, Dirty, Writeback, SwapFree'),
    ('/proc/modules', '', 'loaded modules', 'which drivers'),
    ('/proc/mounts', '', 'mounts, as this process sees them', 'NFS and FUSE mounts'),
    ('/proc/net', "of the reader's namespace: use /proc/PID/net", 'network tables', 'see tcp, unix, netstat'),
    ('/proc/net/dev', '', 'packets, errors, drops by interface', 'a link that drops'),
    ('/proc/net/netlink', '', 'netlink sockets', 'Drops of one'),
    ('/proc/net/netstat', '', 'TcpExt counters', 'ListenOverflows, ListenDrops: full accept queues; TCPTimeouts'),
    ('/proc/net/route', '', 'IPv4 routes', 'no route'),
    ('/proc/net/snmp', '', 'IP, TCP, UDP counters', 'RetransSegs, RcvbufErrors'),
    ('/proc/net/sockstat', '', 'numbers of sockets, memory of TCP (pages)', 'orphans, TCP memory at its limit'),
    ('/proc/net/softnet_stat', '', 'packets by CPU; second column: dropped', 'dropped packets'),
    ('/proc/net/tcp',
     '',
     'IPv4 TCP sockets: addresses in hex, st, tx_queue:rx_queue, timer, inode',
     'who waits for whom: explain CLOSE_WAIT'),
    ('/proc/net/tcp6', '', 'the same for IPv6', 'as tcp'),
    ('/proc/net/udp', '', 'UDP sockets; last column: drops', 'a full receive buffer'),
    ('/proc/net/udp6', '', 'the same for IPv6', 'as udp'),
    ('/proc/net/unix', '', 'unix sockets: type, state, inode, path; not the peer', 'ss -xp gives the peer'),
    ('/proc/pagetypeinfo', 'root', 'free blocks by mobility', 'fragmentation'),
    ('/proc/partitions', '', 'disks and partitions', 'names for device numbers'),
    ('/proc/pressure/cpu', '', 'share of time in which tasks waited for a CPU', 'some avg10 high: too few CPUs'),
    ('/proc/pressure/io',
     '',
     'share of time in which tasks waited for I/O',
     'full avg10 high: the disk stops everything'),
    ('/proc/pressure/memory', '', 'share of time in which tasks waited for memory', 'full avg10 high: thrashing'),
    ('/proc/pressure/irq', '', 'share of time taken by interrupts', 'interrupt load'),
    ('/proc/sched_debug', 'in debugfs since 5.13', 'run queues', 'what runs on a CPU'),
    ('/proc/schedstat', '', 'scheduler counters by CPU', 'run delay'),
    ('/proc/self', '', "link to the reader's own process", 'none'),
    ('/proc/slabinfo', 'root', 'kernel memory by object', 'kernel memory that leaks'),
    ('/proc/softirqs', '', 'soft interrupts by CPU', 'network load on one CPU'),
    ('/proc/stat',
     '',
     'CPU times, context switches, procs_running, procs_blocked',
     'iowait, steal; procs_blocked: tasks in I/O wait'),
    ('/proc/swaps', '', 'swap areas', 'how full'),
    ('/proc/sys/fs/file-nr', '', 'open files, 0, maximum of the system', 'near the maximum: ENFILE'),
    ('/proc/sys/fs/aio-nr', '', 'AIO events in use, against aio-max-nr', 'io_setup fails'),
    ('/proc/sys/fs/inotify', '', 'limits of inotify', 'ENOSPC, EMFILE from inotify'),
    ('/proc/sys/fs/pipe-user-pages-soft',
     '',
     'pages of pipes a user may have',
     'pipes of 4 kB only, that block early'),
    ('/proc/sys/kernel/core_pattern',
     '',
     'where cores go; | starts a helper',
     'a core dump that hangs in its helper'),
    ('/proc/sys/kernel/hung_task_timeout_secs',
     '',
     'after how long in D the kernel complains; 0 never',
     'look in dmesg'),
    ('/proc/sys/kernel/hung_task_detect_count',
     '',
     'how often it has complained (newer kernels)',
     'above 0: look in dmesg'),
    ('/proc/sys/kernel/kptr_restrict', '', 'hides kernel addresses', 'none'),
    ('/proc/sys/kernel/pid_max', '', 'highest pid', 'fork fails: EAGAIN'),
    ('/proc/sys/kernel/threads-max', '', 'most threads of the system', 'fork fails: EAGAIN'),
    ('/proc/sys/kernel/sysrq',
     '',
     'which SysRq keys are allowed (bits)',
     'sysrq-trigger works for root all the same'),
    ('/proc/sys/kernel/tainted',
     '',
     'what makes this kernel suspect',
     'bits 7, 9, 14: it crashed, warned, locked up before'),
    ('/proc/sys/kernel/yama/ptrace_scope',
     '',
     '0 same user, 1 only descendants, 2 only root, 3 nobody may attach',
     'why syscall and mem cannot be read'),
    ('/proc/sys/vm/max_map_count', '', 'most mappings of a process', 'mmap fails with ENOMEM'),
    ('/proc/sys/vm/overcommit_memory', '', '0 guess, 1 always, 2 never more than there is', 'malloc fails early'),
    ('/proc/sys/vm/dirty_ratio',
     '',
     'share of memory that may wait to be written',
     'writers that stop in balance_dirty_pages'),
    ('/proc/sys/vm/swappiness', '', 'how readily it swaps', 'swapping'),
    ('/proc/sys/vm/drop_caches', 'writing drops the page cache', 'nothing to read', 'none'),
    ('/proc/sysrq-trigger',
     'root; w and t only print, others crash or reboot',
     'nothing to read',
     'echo w > /proc/sysrq-trigger: stacks of all tasks in D, in dmesg; l: of busy CPUs'),
    ('/proc/sysvipc/msg', '', 'System V queues', 'full queues, last sender and receiver'),
    ('/proc/sysvipc/sem', '', 'System V semaphores', 'which semaphore'),
    ('/proc/sysvipc/shm', '', 'System V shared memory', 'segments that nobody uses'),
    ('/proc/thread-self', '', "link to the reader's own thread", 'none'),
    ('/proc/timer_list', 'root', 'kernel timers', 'none'),
    ('/proc/uptime', '', 'seconds since boot; idle seconds of all CPUs', 'starttime of stat counts from boot'),
    ('/proc/version', '', 'kernel version', 'known bugs'),
    ('/proc/vmallocinfo', 'root', 'kernel mappings', 'none'),
    ('/proc/vmstat', '', 'memory counters', 'allocstall, pgmajfault, pswpin, oom_kill: rising?'),
    ('/proc/zoneinfo', '', 'memory zones and their marks', 'a zone below its low mark'),
)

# Lines of /proc/PID/status: name, meaning.
STATUS_LINES = (
    ('Name', 'name of the thread, 15 bytes; blanks and odd bytes are escaped here'),
    ('Umask', 'file mode mask, octal (4.7 and later)'),
    ('State', 'state letter and word: explain R, S, D, T, t, Z'),
    ('Tgid', 'the process (thread group) that the thread belongs to'),
    ('Ngid', 'NUMA group; 0 none'),
    ('Pid', 'the thread'),
    ('PPid', 'parent process; 0: none that this namespace can see'),
    ('TracerPid', 'who traces it (gdb, strace); 0 nobody'),
    ('Uid', 'users: real, effective, saved, file system'),
    ('Gid', 'groups: real, effective, saved, file system'),
    ('FDSize', 'size of the descriptor table (slots, not open files)'),
    ('Groups', 'supplementary groups'),
    ('NStgid', 'process number in each nested pid namespace, the innermost last'),
    ('NSpid', "thread number in each nested pid namespace, the innermost (the container's) last"),
    ('NSpgid', 'process group in each nested pid namespace'),
    ('NSsid', 'session in each nested pid namespace'),
    ('Kthread', '1: a kernel thread (newer kernels)'),
    ('VmPeak', 'largest address space so far (kB)'),
    ('VmSize', 'address space (kB): reserved, not used memory'),
    ('VmLck', 'locked in memory (kB)'),
    ('VmPin', 'pinned for devices (kB)'),
    ('VmHWM', 'largest VmRSS so far (kB)'),
    ('VmRSS', 'memory in RAM now (kB): RssAnon + RssFile + RssShmem; shared pages count in full'),
    ('RssAnon', 'its own memory in RAM (kB): heap, stacks'),
    ('RssFile', 'pages of mapped files in RAM (kB)'),
    ('RssShmem', 'shared memory and tmpfs in RAM (kB)'),
    ('VmData', 'private writable mappings (kB)'),
    ('VmStk', 'stack of the main thread (kB)'),
    ('VmExe', 'code of the program (kB)'),
    ('VmLib', 'code of the libraries (kB)'),
    ('VmPTE', 'page tables (kB)'),
    ('VmPMD', 'upper page tables (kB; 4.0 to 4.14)'),
    ('VmSwap', 'its own memory that is in swap (kB): above 0, each touch may cost a disk read'),
    ('HugetlbPages', 'huge pages (kB), not part of VmRSS'),
    ('CoreDumping', '1: it is dumping core right now'),
    ('THP_enabled', '1: transparent huge pages allowed'),
    ('untag_mask', 'address bits that count'),
    ('Threads', 'number of threads; 2 or more with state Z: only the main thread ended'),
    ('SigQ', 'queued signals of the user / the limit'),
    ('SigPnd', 'signals pending for this thread (mask)'),
    ('ShdPnd', 'signals pending for the whole process (mask): 0000000000000100 is a SIGKILL not delivered yet'),
    ('SigBlk', 'signals that the thread blocks (mask): a pending one in it waits'),
    ('SigIgn', 'signals ignored (mask)'),
    ('SigCgt', 'signals with a handler (mask): SIGTERM in it and no reaction: the handler, or who it tells, hangs'),
    ('CapInh', 'capabilities: inheritable (mask)'),
    ('CapPrm', 'capabilities: permitted (mask)'),
    ('CapEff', 'capabilities in effect (mask)'),
    ('CapBnd', 'capabilities: upper bound (mask)'),
    ('CapAmb', 'capabilities: ambient (mask)'),
    ('NoNewPrivs', '1: cannot gain rights by setuid programs'),
    ('Seccomp', 'system call filter: 0 none, 1 strict, 2 filter'),
    ('Seccomp_filters', 'number of filters'),
    ('Speculation_Store_Bypass', 'CPU bug mitigation'),
    ('SpeculationIndirectBranch', 'CPU bug mitigation'),
    ('Cpus_allowed', 'CPUs it may run on (mask)'),
    ('Cpus_allowed_list', 'CPUs it may run on: one busy CPU here starves it'),
    ('Mems_allowed', 'memory nodes it may use (mask)'),
    ('Mems_allowed_list', 'memory nodes it may use'),
    ('voluntary_ctxt_switches',
     'how often it went to sleep by itself: standing still in two readings, it has not woken at all'),
    ('nonvoluntary_ctxt_switches', 'how often the CPU was taken from it: growing fast, it computes'),
    ('x86_Thread_features', 'shadow stack in use'),
    ('x86_Thread_features_locked', 'shadow stack settings that cannot change'),
)

# Fields of /proc/PID/stat in order, from 1: name, meaning. Times are clock ticks (100 a second, nearly always).
STAT_LINES = (
    ('pid', 'process, or thread under task/'),
    ('comm', 'name in brackets; may itself hold blanks and brackets: it ends at the last )'),
    ('state', 'state letter: explain R, S, D, T, t, Z'),
    ('ppid', 'parent'),
    ('pgrp', 'process group (job)'),
    ('session', 'session'),
    ('tty_nr', 'terminal, 0 none'),
    ('tpgid', 'foreground process group of the terminal: if it is not pgrp, it runs in the background'),
    ('flags', 'PF_ bits: 0x200000 kernel thread, 0x10 io_uring worker, 0x4 exiting'),
    ('minflt', 'page faults without I/O'),
    ('cminflt', 'the same of waited-for children'),
    ('majflt', 'page faults that read from disk or swap: growing fast, it thrashes'),
    ('cmajflt', 'the same of waited-for children'),
    ('utime', 'ticks on a CPU in its own code: growing, it computes or loops'),
    ('stime', 'ticks on a CPU in the kernel: growing, its calls work or loop'),
    ('cutime', 'utime of waited-for children'),
    ('cstime', 'stime of waited-for children'),
    ('priority', '20 + nice; negative: real time'),
    ('nice', '-20 (first) to 19 (last)'),
    ('num_threads', 'number of threads'),
    ('itrealvalue', 'always 0'),
    ('starttime', 'when it started, ticks after boot: with the pid, its identity'),
    ('vsize', 'address space in bytes'),
    ('rss', 'memory in RAM in pages'),
    ('rsslim', 'limit on it in bytes'),
    ('startcode', 'first address of the code (0 if not allowed)'),
    ('endcode', 'last address of the code'),
    ('startstack', 'bottom of the stack'),
    ('kstkesp', 'stack pointer; 0 but for ended processes'),
    ('kstkeip', 'program counter; 0 but for ended processes'),
    ('signal', 'pending signals, 31 only: use status'),
    ('blocked', 'blocked signals, 31 only: use status'),
    ('sigignore', 'ignored signals, 31 only: use status'),
    ('sigcatch', 'caught signals, 31 only: use status'),
    ('wchan', '1 asleep in the kernel, 0 not, or not allowed to know (an address in kernels before 4.4)'),
    ('nswap', 'always 0'),
    ('cnswap', 'always 0'),
    ('exit_signal', 'signal that the parent gets when it ends (17 SIGCHLD; -1 for a thread)'),
    ('processor', 'CPU it last ran on'),
    ('rt_priority', '1 to 99: real time; 0: ordinary'),
    ('policy', '0 ordinary, 1 FIFO, 2 RR, 3 batch, 5 idle, 6 deadline, 7 BPF'),
    ('delayacct_blkio_ticks', 'ticks spent waiting for the disk (0 unless delay accounting is on)'),
    ('guest_time', 'ticks running a virtual CPU'),
    ('cguest_time', 'the same of waited-for children'),
    ('start_data', 'first address of the data'),
    ('end_data', 'last address of the data'),
    ('start_brk', 'where the heap begins'),
    ('arg_start', 'first address of the arguments'),
    ('arg_end', 'last address of the arguments'),
    ('env_start', 'first address of the environment'),
    ('env_end', 'last address of the environment'),
    ('exit_code', 'how it ended: exit status * 256, or the signal number'),
)
IO_FIELDS = (
    ('rchar', 'bytes that read calls returned, from wherever (also pipes, cache)'),
    ('wchar', 'bytes that write calls took'),
    ('syscr', 'read calls'),
    ('syscw', 'write calls'),
    ('read_bytes', 'bytes really fetched from storage'),
    ('write_bytes', 'bytes sent to the page cache to be stored'),
    ('cancelled_write_bytes', 'bytes never stored, because the file was truncated or deleted first'),
)
SCHEDSTAT_FIELDS = (
    ('run_ns', 'schedstat 1: ns on a CPU'),
    ('run_delay_ns', 'schedstat 2: ns ready but waiting for a CPU (starved, or throttled by its cgroup)'),
    ('timeslices', 'schedstat 3: number of turns on a CPU; standing still, it has not run'),
)

# Finding codes: code, group, what it is (why it does not end, what it is not), what to do in general.
CODES = (
    ('deadlock', 'locks',
     'Threads wait for locks in a circle: each holds what the next one needs. It never ends by itself, and '
     'it is not slowness.',
     'Keep the stacks (capture, gdb) for the developers, then restart. The cure is to take the locks in one'
     ' order.'),
    ('lock-held', 'locks',
     'Threads wait for a lock whose owner is known and alive. They go on once the owner lets go: what the '
     'owner waits for is the real cause.',
     "Look at the owner's thread, not at the waiters."),
    ('lock-suspect', 'locks',
     'Many threads wait in futex, and one or a few are elsewhere, perhaps with the lock. The owner is '
     'inferred, not read.',
     'Look at the odd thread first. Reading the memory (as root) can prove the owner.'),
    ('lock-orphaned', 'locks',
     "The lock's owner is no live thread of this process: it ended without unlocking, or a fork copied a "
     'locked lock. Nobody will ever unlock it.',
     'Restart. Look for threads killed or cancelled while holding a lock, and for fork in a program with '
     'threads.'),
    ('self-deadlock', 'locks',
     'The thread waits for a lock that it holds itself (a non-recursive lock taken twice, often from a '
     'signal handler). It never ends.',
     'Keep the stack, then restart.'),
    ('wait-socket-read', 'waiting on others',
     'A thread reads a socket to which nothing comes. The peer is slow, stuck, gone without a word, or has '
     'nothing to say; a read without a timeout waits for ever.',
     'Find the peer by address or socket inode and look there; set read timeouts and keepalive.'),
    ('wait-socket-write', 'waiting on others',
     'A thread writes to a socket whose buffers are full: the peer does not read, or the network loses what'
     ' is sent.',
     'A zero window (timer probe): the peer process is stuck. Retransmissions: the network.'),
    ('wait-connect', 'waiting on others',
     "A connect has had no answer: packets are dropped (firewall, dead host), or the listener's accept "
     'queue is full. TCP gives up after about two minutes.',
     'Test the address and port; look at the listener. Refused would come at once.'),
    ('wait-accept', 'waiting on others',
     'A thread waits for clients to connect. That is what an idle server does.',
     'Nothing, unless clients say that they cannot connect: then look at the address, firewall and accept '
     'queue.'),
    ('wait-pipe-read', 'waiting on others',
     'A thread reads an empty pipe. It ends when a writer writes, or when the last write end is closed; a '
     'forgotten write end keeps it for ever.',
     'Look at the process that has the write end; if it is this one itself, it is a bug.'),
    ('wait-pipe-write', 'waiting on others',
     'A thread writes to a full pipe: whoever has the read end does not read. Often a parent that waits for'
     ' its child without reading its output.',
     'Look at the process that has the read end.'),
    ('wait-child', 'waiting on others',
     'It waits for a child process to end. The child is what hangs, or simply works.',
     'Look at the child.'),
    ('wait-vfork', 'waiting on others',
     'It has made a child by vfork and sleeps (state D) until the child executes a program or exits. It is '
     'not a disk problem.',
     'Look at the child: it may hang before its exec, in a file system for instance.'),
    ('wait-file-lock', 'waiting on others',
     'It waits for a lock on a file (flock or fcntl) that another process or descriptor holds.',
     'Look at the holder (/proc/locks); if it is stuck, end it and the lock goes with it.'),
    ('wait-disk', 'waiting on others',
     'It waits in state D for a disk or a local file system. Usually the device is slow, full of requests '
     'or broken; kill -9 waits as well.',
     'Look at dmesg, iostat, /proc/pressure/io, and at other tasks in D.'),
    ('wait-nfs', 'waiting on others',
     'It waits for a file server (NFS, SMB, Ceph...) that does not answer. A hard mount waits for ever; '
     'once the server is back it goes on.',
     'Look at the server and the network to it. kill -9 ends most NFS waits; umount -f or -l as a last '
     'resort.'),
    ('wait-fuse', 'waiting on others',
     'It waits for the server process of a FUSE file system. It is not the disk. After kill -9 it turns to '
     'D until the server answers or goes.',
     'Look at the server process; echo 1 > /sys/fs/fuse/connections/N/abort lets all its clients fail.'),
    ('wait-memory', 'waiting on others',
     "It waits for memory: for pages to be freed or read from swap, for its cgroup's memory.high, or for "
     'the lock of its memory map.',
     'Look at memory pressure and limits; if it is the map lock, look for another thread in D.'),
    ('wait-tty', 'waiting on others',
     'It waits for typing at a terminal, or writes to one whose output is stopped (Ctrl-S) or whose other '
     'side does not read.',
     'Ctrl-Q for stopped output; a program that asks a question belongs in the foreground.'),
    ('wait-signal', 'waiting on others',
     'It waits for a signal (pause, sigwait, sigsuspend). That is normal for a master process.',
     'Nothing, unless the signal should have come: see its masks (SigBlk, SigIgn).'),
    ('wait-ipc', 'waiting on others',
     'It waits for a System V or POSIX semaphore or message queue. Whoever should post or read is stuck, or'
     ' died without doing so.',
     'ipcs -s -p -q, /proc/sysvipc; a semaphore left behind by a dead process needs a restart of all its '
     'users.'),
    ('wait-io-uring', 'waiting on others',
     'It waits for io_uring completions. Idle event loops do; otherwise a request blocks in an iou-wrk '
     'thread, or its peer is silent.',
     'Look at the iou-wrk threads and at fdinfo of the ring.'),
    ('wait-event', 'waiting on others',
     'It reads an eventfd, timerfd, signalfd, inotify or the like in which nothing has happened; or writes to'
     ' an eventfd that is full.',
     'Find who should post to it (or read it); often it is idle.'),
    ('wait-kernel', 'waiting on others',
     'It waits in the kernel, uninterruptibly, for something of the kernel itself: a lock that another task'
     ' holds, a worker, a frozen file system.',
     'Look for other tasks in D, /proc/PID/stack as root, dmesg; echo w > /proc/sysrq-trigger.'),
    ('idle-pool', 'idle',
     'All threads are parked on futexes and nothing says that something is wrong: a pool without work looks'
     ' so. So does a deadlock whose locks record no owner.',
     'If work is due, get stacks from the runtime (jstack, py-spy, gdb).'),
    ('event-loop-idle', 'idle',
     'It waits in epoll, poll or select, and nothing is pending: an event loop without work.',
     'If work is due, find out why no event comes: look at its clients and peers.'),
    ('wait-sleep', 'idle',
     'It sleeps for a time that it chose itself. It is not blocked; perhaps it retries something in a loop.',
     'Wait, or see its log for what it retries.'),
    ('stopped', 'stopped',
     'A signal has stopped it (kill -STOP, Ctrl-Z, or a background job at the terminal). It waits for '
     'SIGCONT, for ever.',
     'kill -CONT PID; find out who stopped it. SIGTTIN or SIGTTOU: fg in its shell, else it stops again.'),
    ('traced', 'stopped',
     'A debugger or tracer holds it. It goes on when the tracer does.',
     'Look at the tracer: detach it, or end it.'),
    ('frozen', 'stopped',
     'Its cgroup is frozen (docker pause, a checkpoint, systemctl freeze). It neither runs nor reacts to '
     'signals until it is thawed.',
     'Thaw it: docker unpause, systemctl thaw, or 0 in cgroup.freeze, THAWED in freezer.state.'),
    ('zombie', 'stopped',
     'It has ended, and its parent has not asked for its exit status. It cannot be killed and uses nothing '
     'but its number.',
     'Look at the parent: that is what does not work.'),
    ('zombie-leader', 'stopped',
     'Its main thread has ended while others live on. It is no zombie: the work goes on in the other '
     'threads.',
     'Look at the living threads; /proc/PID/task/TID has what /proc/PID lacks.'),
    ('unreaped-children', 'stopped',
     'Children of it have ended, and it does not ask for their exit status. Each keeps a number; enough of '
     'them, and fork fails.',
     'Look at what keeps the parent from wait(); in a container, use an init that reaps.'),
    ('busy-user', 'cpu',
     'It computes in its own code and makes no system calls worth the name: an endless loop, a spinlock, '
     'garbage collection, or honest work.',
     'perf top -p PID, py-spy, jstack: see whether it gets on.'),
    ('busy-kernel', 'cpu',
     'It spends its time in the kernel: a loop of short system calls, page faults, or one huge request.',
     'strace -c -p PID, perf top -p PID.'),
    ('cpu-throttled', 'cpu',
     'Its cgroup has used up its CPU quota and is held back for the rest of each period. It is runnable; '
     'nothing blocks it.',
     "Raise the quota (cpu.max, the container's CPU limit), or use fewer threads."),
    ('cpu-starved', 'cpu',
     'It is ready to run and does not get a CPU: too many others, real-time tasks, a low priority or a '
     'narrow CPU mask.',
     'See who runs on its CPUs, its nice value and policy.'),
    ('fd-exhausted', 'limits',
     'No descriptor is left: open, socket and accept fail with EMFILE, and servers then often loop or '
     'stall.',
     'Find what leaks (many descriptors on one target); raise the limit, prlimit --nofile works on the '
     'living process.'),
    ('fd-high', 'limits',
     'Half of its descriptors or more are in use. Nothing fails yet.',
     'Watch whether the number grows.'),
    ('fd-leak', 'limits',
     'Many descriptors lead to the same file, pipe or peer: it opens and does not close.',
     'Find the code that opens that target.'),
    ('close-wait-leak', 'limits',
     'Many connections are in CLOSE_WAIT: the peers have closed, and this program has not. They stay until '
     'it does, or ends.',
     'It is a bug here, not at the peer nor in TCP settings: it does not close, or is too stuck to.'),
    ('accept-queue-full', 'limits',
     'More clients have connected than the program has accepted and the queue is full: further ones get no '
     'answer.',
     'Find out why it does not accept; a longer backlog (somaxconn) only helps against bursts.'),
    ('unread-input', 'limits',
     'Data waits in a socket that no thread reads. Either the program is too busy or stuck to read, or it '
     'does not want to (back-pressure).',
     'Look at what its threads do instead.'),
    ('pids-limit', 'limits',
     'Its cgroup or user may have no more processes or threads: fork and pthread_create fail with EAGAIN.',
     'Find what makes so many; raise pids.max or ulimit -u.'),
    ('memory-limit', 'limits',
     'Its cgroup is near or over its memory limit. It gets slow first, then the OOM killer comes.',
     'Raise the limit or find the growth. Page cache counts too, but can be dropped.'),
    ('cgroup-oom', 'limits',
     'Its cgroup has run out of memory: it is blocked until memory is freed, or something in it was killed,'
     ' and others may wait for that.',
     'See memory.events (oom_kill) and dmesg; raise the limit, restart what was killed.'),
    ('swapping', 'limits',
     'Much of it is in swap, and page faults read it back: it works, at the speed of the disk.',
     'Free memory, or add some.'),
    ('pressure', 'limits',
     'Tasks of its cgroup or of the machine spend much of their time waiting for CPU, memory or I/O.',
     'Look at the system: procdoc system.'),
    ('deleted-exe', 'files',
     'Its program file was deleted or replaced: it runs the old version.',
     'Restart it after an upgrade; recover PID exe saves the file.'),
    ('deleted-file', 'files',
     'It holds a deleted file open: the space is not free until it closes it or ends.',
     'Let it reopen its logs, or restart it; recover PID FD saves the contents.'),
    ('stale-libs', 'files',
     'Libraries that it uses were replaced on disk: it runs old code, perhaps with known holes.',
     'Restart it.'),
    ('signal-blocked', 'signals',
     'A signal has been sent and cannot take effect: all threads block it, or the process is in D and sees '
     'it only when the wait ends.',
     'If it is blocked, kill -9 works. In D, what it waits for must end first.'),
    ('kernel-thread', 'program',
     'It is a thread of the kernel: it has no program, memory or descriptors, and cannot be killed.',
     'Nothing, unless it is in D or busy: then /proc/PID/stack and dmesg.'),
    ('ended', 'program', 'It ended while it was being looked at.', 'See the log of its service for why.'),
    ('healthy', 'program',
     'It works, and nothing that can be seen is wrong.',
     'If it is slow all the same, watch longer (--seconds 10) or look at what it depends on.'),
)


def code_row(code):
    """The row of CODES of a finding code, or None."""
    for row in CODES:
        if row[0] == code:
            return row
    return None


def proc_file_row(name):
    """The row of PROC_FILES of a file of /proc/PID by its name ('wchan'), or None."""
    for row in PROC_FILES:
        if row[0] == name:
            return row
    return None


# ROOM SAFE ==================================================================
# What other processes wrote, made fit for a terminal and for a ticket.
# safe() stands between every foreign string and the terminal; redact_*() between every secret and anything at all.
# To add a secret: a word in SECRET_WORDS, a client in CLIENTS, a shape in SHAPES; and a line in the tables of the tests.

PLAIN = re.compile(r'[ -\[\]-~]*\Z').match

# Printable to Python, and yet nothing to be seen: fillers, blanks, variation selectors and marks without a picture.
INVISIBLE = frozenset([0x00ad, 0x034f, 0x1885, 0x1886, 0x061c, 0x06dd, 0x070f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x2800, 0x3164, 0xffa0, 0xfffc, 0xfffd]
                      + list(range(0x180b, 0x1810)) + list(range(0xfe00, 0xfe10)) + list(range(0xe0000, 0xe1000)))
MARKS_SHOWN = 2         # combining marks on one letter; real words need two, a flood of them climbs over other lines


def unicode_category():
    """The category of a character in Unicode 3.2, from any Python: a newer table would make a replay's words depend on
    the Python it runs under. None where the module is missing (static builds): then nothing but ASCII is shown as it is."""
    try:
        from unicodedata import ucd_3_2_0
    except ImportError:
        return None
    return ucd_3_2_0.category


def escaped(ch):
    """One character as ASCII: a byte that is no UTF-8 as \\xNN, so that it differs from the character of that number."""
    code = ord(ch)
    if code == 0x5c:
        return '\\\\'
    if code < 0x80:
        return '\\x%02x' % code
    if 0xdc80 <= code <= 0xdcff:
        return '\\x%02x' % (code - 0xdc00)
    return '\\u%04x' % code if code < 0x10000 else '\\U%08x' % code


def visible(text, category):
    """Each character of text as it is shown. A mark is left as it is only on a letter before it."""
    marks = MARKS_SHOWN                     # a leading mark would sit on the report's own text
    for ch in text:
        if ch == '\\' or ch < ' ' or ch == '\x7f':
            yield escaped(ch)
            marks = MARKS_SHOWN
        elif ch < '\x7f':
            yield ch
            marks = 0 if ch.isalnum() else MARKS_SHOWN
        else:
            kind = category(ch) if category else 'C'
            shown = kind[0] not in 'CZ' and ord(ch) not in INVISIBLE and ch.isprintable()
            if kind[0] == 'M':
                shown = shown and marks < MARKS_SHOWN
                marks += 1
            else:
                marks = 0 if shown and kind[0] == 'L' else MARKS_SHOWN
            yield ch if shown else escaped(ch)


def safe(s, limit=200, ascii=False):
    """A foreign string as one line of harmless text, at most `limit` columns and a marker of how many characters were cut.

    Control bytes, escape sequences, line breaks, bidirectional, invisible and unassigned characters, and invalid UTF-8 come out
    as \\xNN, \\uNNNN or \\UNNNNNNNN, and a backslash as two: no input can look like the escape of another, or end a line."""
    if isinstance(s, (bytes, bytearray)):
        s = bytes(s).decode('utf-8', 'surrogateescape')
    elif not isinstance(s, str):
        s = str(s)
    limit = len(s) * 10 if limit is None else max(limit, 0)
    head = s[:limit]
    if PLAIN(head):
        return head if len(head) == len(s) else '%s...(+%d)' % (head, len(s) - len(head))
    out, room, done = [], limit, 0
    for piece in visible(head, None if ascii else unicode_category()):
        room -= len(piece)
        if room < 0:
            break
        out.append(piece)
        done += 1
    left = len(s) - done
    return ''.join(out) + ('...(+%d)' % left if left else '')


# Redaction. Every string is taken apart three times: by shape (tokens, keys, URLs: SHAPES), by name (name=value, "name": value:
# mask_pairs), and by the grammar of a command line (--name value, -pX of the clients that take it so: mask_words). A text with
# spaces may itself be a command line (sh -c, a title, ssh HOST '...'): then the third works on its shell words, and within their
# quotes again. A secret name without an end to its value masks all the rest. Every expression is linear: where a name or a run
# may be long, a look-behind keeps it from being tried again at each of its characters.
# The limit of it: a secret without a name, a known shape or a known client (`prog hunter2`) cannot be told from any other word.

MASK = '****'
LONGEST = 1 << 18       # characters that are looked at; hostile ones take up to 3 s a million
DEPTH = 6               # quotes within quotes within quotes; deeper than that is masked whole

# What a name says of its value. STRONG: it is a secret. PATHY: it is one unless it is the path of a file. AUTH: it is one unless it is
# the name of a method. WEAK: it is one if it looks random.
HARMLESS, WEAK, AUTH, PATHY, STRONG = range(5)

SECRET_WORDS = dict(
    [(word, STRONG) for word in (
        'password passwords passwd passphrase passphrases passcode passwort kennwort senha contrasena pass passwrd passw pw pwd pswd '
        'secret secrets token tokens apikey apikeys authkey authtoken accesskey secretkey sharedkey accountkey privkey bearer jwt '
        'psk otp totp mnemonic requirepass masterauth storepass keypass srcstorepass deststorepass userpass userpwd '
        'passin passout authpass authinfo community encpass').split()]
    + [(word, PATHY) for word in 'credential credentials creds cred cookie cookies privatekey sshkey'.split()]
    + [(word, AUTH) for word in 'auth authorization basicauth httpauth'.split()]
    + [(word, WEAK) for word in 'key keys sig signature session sessionid sid pat salt hmac license licence pin sas'.split()])

# "... key": what comes before the word decides.
SECRET_KEYS = dict(
    [(word, STRONG) for word in (
        'api access account secret shared encryption encrypt crypt cipher master signing sign auth license licence deploy storage '
        'admin service session hmac aes des wep write ingest ingestion instrumentation subscription function functions app '
        'application integration join setup recovery wrap wrapping data token password pass webhook consumer security cookie '
        'enc hash mac pre preshared system root user insights').split()]
    + [(word, PATHY) for word in 'private ssh tls ssl client server rsa ec pem cert certificate peer trusted'.split()]
    + [(word, HARMLESS) for word in 'public primary partition sort routing foreign host idempotency cache shard range row'.split()])

# Names whose last word makes them harmless: --password-file, --token-ttl, tokenEndpoint, PASSWORD_POLICY.
HARMLESS_PAIRS = frozenset([('existing', 'secret'), ('existing', 'secrets'), ('pull', 'secret'), ('pull', 'secrets')]
                           + [(word, token) for token in ('token', 'tokens') for word in 'eos bos pad unk stop sep cls special image'.split()])
EXACT = {'PWD': HARMLESS, 'OLDPWD': HARMLESS, 'PASS_MAX_DAYS': HARMLESS, 'initial-cluster-token': HARMLESS, 'auth-user-pass': PATHY}
HARMLESS_LAST = frozenset((
    'file files filename path paths dir directory folder location name names type types kind class ttl age expiry expiration expire '
    'expires expired lifetime timeout duration interval length len size count counts limit max min policy mode modes method methods '
    'algorithm algorithms alg algo provider providers prompt stdin env source src store backend engine url urls uri endpoint host '
    'hosts port issuer issuers audience audiences realm format version prefix suffix header headers enabled enable disabled '
    'required require optional check checker validation validator verify rotation rotate refresh renewal renew period strength complexity '
    'namespace ref reference selector label labels command cmd eval helper manager agent server domain scope scopes field '
    'column table index encoding charset encryption hashing hasher iterations cost rounds retries attempts cache budget bucket rate '
    'window authentication authenticator webhook plugin authority ring space review request reviewer user username users owner group '
    'groups role number num position status state only less storage resolver handler driver factory callback '
    'days hours minutes seconds secs ms batch grant grants hint history reset change lookup fd cleaner controller cleanup projection mount volume').split())
FLAG_FIRST = frozenset('no ask enable disable show prompt skip require allow generate without with print'.split())
NUMBER_FIRST = FLAG_FIRST | frozenset('max min num n total keep use count'.split())
GLUED_END = ('password', 'passwords', 'passwd', 'passphrase', 'secret', 'secrets', 'token', 'apikey', 'accesskey', 'secretkey', 'authkey', 'privatekey',
             'accountkey', 'sharedkey', 'cookie', 'passwort')
GLUED_PASS = frozenset('compass bypass encompass surpass trespass multipass singlepass lowpass highpass bandpass onepass twopass '
                       'firstpass lastpass notpass proxypass askpass'.split())
SPOKEN = frozenset('true false'.split())
SWITCH = frozenset('true false yes no on off none null nil never always auto default 0 1'.split())
AUTH_METHODS = SWITCH | frozenset(
    'basic digest token bearer oauth oauth2 oidc ntlm kerberos krb5 gssapi negotiate plain login cram-md5 ldap md5 scram trust peer iam '
    'jwt saml rbac abac node webhook cert certificate tls mtls x509 required optional any anonymous password spnego pam local '
    'simple external scram-sha-1 scram-sha-256 scram-sha-512 mongodb-x509 native file unix ident alwaysallow alwaysdeny sasl '
    'psk open wpa wpa2 md5-sess system admin disabled enabled access'.split())
QUERY_NAMES = frozenset('sig signature code key auth sid session sessionid ticket hmac x-amz-signature x-goog-signature access_key '
                        'accesskey jwt assertion client_assertion'.split())
DIGEST = re.compile(r'(?i)(?:sha|md|aes|hmac|rsa|blake|ripemd|whirlpool)[-_0-9a-z/]{0,16}\Z').match
PREFIXED = ('file:', 'env:', 'fd:')                 # openssl's way to say where a password is, not what it is

PATH_LIKE = re.compile(r'@?(?:~|\.{1,2})?(?:/[\w.@%+~:-]+)+/?\Z|[\w./-]+\.(?:pem|key|json|crt|cer|txt|ya?ml|jks|p12|pfx|conf|cfg|ini|toml|der|pub|cookies?)\Z',
                       re.A).match
NAME_WORD = re.compile(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+').findall
CONTAINERS = frozenset('docker podman nerdctl buildah skopeo crictl kubectl docker-compose compose runc ctr chown install '
                       'systemd-run runuser setpriv chroot gosu su-exec'.split())


def word_kind(word):
    """What one lower-case word of a name says, also when it is glued to others: pgpassword, mytoken, rootpw."""
    if word in SECRET_WORDS:
        return SECRET_WORDS[word]
    if word.endswith(GLUED_END):
        return STRONG
    if word.startswith(('password', 'passwd', 'passphrase', 'secretkey', 'secretaccess')):
        rest = word[6:] if word.startswith('passwd') else word[8:]
        return HARMLESS if rest.endswith(tuple(HARMLESS_LAST)) else STRONG
    if word.endswith(('pass', 'pwd', 'passw')) and word not in GLUED_PASS or word in ('rootpw', 'bindpw', 'userpw', 'adminpw', 'dbpw'):
        return STRONG
    return HARMLESS


def pair_kind(before, word):
    """What two words say together: api key, pass word, secret id, seed phrase."""
    if word in ('key', 'keys'):
        return SECRET_KEYS.get(before, WEAK)
    if (before, word) in (('pass', 'word'), ('pass', 'phrase'), ('pass', 'code'), ('pass', 'wd'), ('seed', 'phrase'), ('secret', 'id'),
                          ('so', 'pin'), ('user', 'pin'), ('connect', 'auth'), ('sonar', 'login')):
        return STRONG
    return HARMLESS


KINDS = {}              # name -> kind: the same few names come again and again; emptied when a hostile input fills it


def kind_of(name):
    """What a name (of an option, a variable, a key, a header) says of its value: one of HARMLESS .. STRONG."""
    if len(name) > 120:
        return STRONG                       # no real name is that long
    kind = KINDS.get(name)
    if kind is None:
        if len(KINDS) > 5000:
            KINDS.clear()
        kind = KINDS[name] = compute_kind(name)
    return kind


def compute_kind(name):
    bare = name.strip('-_.')
    if bare in EXACT:
        return EXACT[bare]
    if re.match(r'[DPXJHF][A-Za-z]|[ed][A-Z]', bare):
        joined = words_kind(bare[1:])       # -DapiKey=, -PmyToken=, -ePASSWORD=, -HX-Api-Key:
        if joined:
            return max(joined, words_kind(bare))
    return words_kind(bare)


def words_kind(name):
    words = [word.lower() for word in NAME_WORD(name)]
    words = [word for word in words if not word.isdigit()]
    if not words:
        return HARMLESS
    kinds = [word_kind(word) for word in words] + [pair_kind(a, b) for a, b in zip(words, words[1:])]
    last = words[-1]
    if tuple(words[-2:]) in HARMLESS_PAIRS:
        return HARMLESS
    if pair_kind(words[-2] if words[1:] else '', last) == STRONG:
        return STRONG
    if last in HARMLESS_LAST or last == 'id' or (len(last) > 4 and last.endswith(('file', 'path', 'name', 'type'))):
        return HARMLESS
    if last in ('key', 'keys'):             # public-key and routing-key are harmless whatever "key" alone would be
        others = max([word_kind(word) for word in words[:-1] if word not in ('key', 'keys')] or [HARMLESS])
        return max(others, SECRET_KEYS.get(words[-2], WEAK) if words[1:] else WEAK)
    if max(kinds) in (STRONG, PATHY):
        return max(kinds)
    return word_kind(last)                  # auth-mode, key-type, session-affinity: a weak word counts only at the end


def looks_random(value):
    """A key rather than a word: 16 characters or more of one run, letters and digits mixed; or a PIN."""
    if len(value) < 16 or len(value) > 4096 or not re.match(r'[A-Za-z0-9+/=_.~-]+\Z', value) or PATH_LIKE(value):
        return False
    return bool(re.search(r'[0-9]', value) and re.search(r'[A-Za-z]', value))


def mask_value(name, value, query=False):
    """The value of a name, masked as its name demands; None when the name says nothing against it."""
    kind = kind_of(name)
    if query and (name.lower() in QUERY_NAMES or kind >= WEAK):
        kind = STRONG if len(value) >= 6 and not PATH_LIKE(value) else kind
    if kind == HARMLESS or value.rstrip(';,)}"\'') in ('', MASK) or value.startswith(MASK + '@'):
        return None
    if kind == STRONG:
        words = NAME_WORD(name)
        if value.lower() in SPOKEN or value.startswith(PREFIXED) and re.match(r'[a-z]+:/?[\w./-]+\Z', value):
            return None
        if value.lower() in SWITCH | set(['required', 'optional']) and words and words[0].lower() in NUMBER_FIRST:
            return None
        if value.isdigit() and words and (words[-1].lower() == 'tokens' or words[0].lower() in NUMBER_FIRST):
            return None
        return 'pass:' + MASK if value.startswith('pass:') else MASK
    if kind == PATHY:
        return None if PATH_LIKE(value) or value.lower() in SWITCH else MASK
    if kind == AUTH:
        known = all(word.lower() in AUTH_METHODS or word.endswith(('_password', '_plugin', '_socket')) or DIGEST(word) for word in value.split(','))
        return None if known or PATH_LIKE(value) else MASK
    pin = name.lower().endswith('pin') and re.match(r'[0-9]\w{3,}\Z', value, re.A)
    return MASK if pin or looks_random(value) or len(value) > 4096 else None


# --- by shape

# Each starts with letters of its own, and nothing that must follow a run of unknown length: linear.
TOKEN_SHAPES = r"""(?<![A-Za-z0-9])(?:
    (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,} | gh[pousr]_[A-Za-z0-9]{10,} | github_pat_[A-Za-z0-9_]{10,}
  | gl(?:pat|dt|ft|rt|soat|cbt|ptt|agent|imt|oas)-[A-Za-z0-9_.-]{8,} | GR1348941[A-Za-z0-9_-]{10,}
  | xox[a-z]-[A-Za-z0-9-]{6,} | xapp-[0-9A-Za-z-]{10,} | xkeysib-[a-z0-9-]{10,}
  | AIza[A-Za-z0-9_-]{20,} | ya29\.[A-Za-z0-9_.-]{6,} | GOCSPX-[A-Za-z0-9_-]{10,} | 1//0[A-Za-z0-9_-]{20,}
  | (?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,} | whsec_[A-Za-z0-9+/=]{10,}
  | sk-(?:proj|ant|svcacct|admin|or|lf)-[A-Za-z0-9_-]{8,} | sk-[A-Za-z0-9]{20,} | hf_[A-Za-z0-9]{20,} | gsk_[A-Za-z0-9]{20,} | nvapi-[A-Za-z0-9_-]{20,}
  | npm_[A-Za-z0-9]{20,} | pypi-AgE[A-Za-z0-9_-]{4,} | pypi-[A-Za-z0-9_-]{30,} | rubygems_[0-9a-f]{20,} | dckr_(?:pat|oat)_[A-Za-z0-9_-]{10,}
  | SG\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,} | key-[0-9a-f]{32} | shp(?:at|ss|ca|pa)_[0-9a-fA-F]{16,}
  | do[opr]_v1_[0-9a-f]{20,} | hv[sbr]\.[A-Za-z0-9_-]{16,} | tskey-[A-Za-z0-9-]{10,} | dapi[0-9a-f]{32} | dp\.(?:pt|st)\.[A-Za-z0-9.]{16,}
  | ATATT3[A-Za-z0-9_=-]{20,} | NRAK-[A-Z0-9]{20,} | lin_api_[A-Za-z0-9]{20,} | PMAK-[A-Za-z0-9-]{20,} | sq[pua]_[0-9a-f]{20,}
  | sq0(?:atp|csp)-[A-Za-z0-9_-]{16,} | AGE-SECRET-KEY-1[A-Z0-9]{10,} | figd_[A-Za-z0-9_-]{20,} | ntn_[A-Za-z0-9]{30,} | glc_[A-Za-z0-9+/=]{20,}
  | glsa_[A-Za-z0-9_]{20,} | pul-[0-9a-f]{40} | sbp_[0-9a-f]{30,} | CCIPAT_[A-Za-z0-9_]{10,} | [0-9]{8,10}:AA[A-Za-z0-9_-]{30,}
  | eyJ[A-Za-z0-9_=-]{17,}(?:\.[A-Za-z0-9_=-]*)* | eyJ[A-Za-z0-9_-]{3,16}(?:\.[A-Za-z0-9_=-]+)+
)"""

SHAPES = (
    # what must be in the text       what is looked for                                                        what takes its place
    (('BEGIN',),          re.compile(r'-{4,5} ?BEGIN.*?(?:-{4,5} ?END[^-\0]{0,64}-{0,5}|\Z)', re.S),            MASK),
    ((),                  re.compile(TOKEN_SHAPES, re.X),                                                      MASK),
    (('hooks.slack',),    re.compile(r'(hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/)[^\s"\']+'), r'\1' + MASK),
    (('/webhooks/',),     re.compile(r'(discord(?:app)?\.com/api/webhooks/[0-9]+/)[^\s"\'/?]+'),                r'\1' + MASK),
    (('earer', 'EARER'),  re.compile(r'(?i)(\bBearer(?:\s{1,8}|[:=]\s{0,8}))(?![-&|;]|\*{4})[^\s"\'\\;,]+'),     r'\1' + MASK),
    (('asic', 'ASIC'),    re.compile(r'(?i)(\bBasic\s{1,8})(?=[A-Za-z0-9+/]{0,4096}(?:[0-9=]|(?<=[A-Za-z0-9])[A-Z]))[A-Za-z0-9+/]{6,}={0,2}'), r'\1' + MASK),
    (('jdbc:oracle',),    re.compile(r'(jdbc:oracle:\w{1,16}:[^/\s@]{1,128}/)(?!\*{4}@)[^\s]+@'),               r'\1' + MASK + '@'),
)
# The quoted string that follows is a secret: SQL's words for it, and what an expect script sends.
SPOKEN_BEFORE = tuple((needles.split(), re.compile('(?i)' + pattern)) for needles, pattern in (
    # what must be in the text, in lower case; what stands before the quote; the quote
    ('identified', r"""\bidentified\s{1,9}(?:with\s{1,9}\S{1,64}\s{1,9})?(?:by|as)\s{0,9}(?:password\s{0,9})?(\\*['"])"""),
    ('password', r"""\bpassword(?:\s{1,9}|\s{0,9}\(\s{0,9}|\s{1,9}for\s{1,9}\S{1,128}\s{0,9}=\s{0,9})(\\*')"""),
    ('pragma', r"""\bpragma\s{1,9}(?:re)?key\s{0,9}=\s{0,9}(\\*['"])"""),
    ('spawn assword:', r"""\bsend\s{1,9}(?:--?\s{1,9})?(\\*["'])""")))


def mask_shapes(text):
    """What is a secret by its look alone, wherever it stands."""
    for needles, pattern, mask in SHAPES:
        if not needles or any(needle in text for needle in needles):
            text = pattern.sub(mask, text)
    if '@' in text:
        text = AT_WORD.sub(mask_userinfo, text)
    if "'" in text or '"' in text:
        lowered = text.lower()
        for needles, pattern in SPOKEN_BEFORE:
            if any(needle in lowered for needle in needles):
                text = mask_spans(text, pattern)
    return text


def mask_spans(text, pattern):
    """Mask the quoted string that opens with the pattern's last group."""
    out, done = [], 0
    match = pattern.search(text)
    while match:
        end, closer = quoted_end(text, match.end(), match.group(1))
        out += [text[done:match.end()], MASK if end > match.end() else '', closer]
        done = end + len(closer)
        match = pattern.search(text, done)
    return ''.join(out) + text[done:]


def quoted_end(text, start, opener):
    """Where a quoted string that opener opened before start ends, and its closing quote: '' when it never closes."""
    if len(opener) == 1:
        pattern = QUOTE_ENDS[opener]
    elif len(opener) < 20:                  # \\" opens, the same number of backslashes closes, and more of them are inside
        pattern = re.compile(r'(?<!\\)%s' % re.escape(opener))
    else:
        return len(text), ''
    match = pattern.search(text, start)
    return (match.end() - len(opener), opener) if match else (len(text), '')


# A run up to the next quote that no backslash escapes; it can be read in one way only, so that it costs no second try.
QUOTE_ENDS = dict((quote, re.compile(r'[^%s\\]*(?:\\.[^%s\\]*)*%s' % (quote, quote, quote), re.S)) for quote in '\'"')

# A word with an @: a URL's userinfo, user:password@host, or an e-mail address. A quote or a bar within it is the password's.
AT_WORD = re.compile(r"""(?<![^\s"'`<>|\0])(?:[^\s"'`<>|\0]|(?<=[A-Za-z0-9!$%*_.~-])["'`<>|](?=[A-Za-z0-9!$%*_.~-]))+""")
NOT_HOSTS = re.compile(r'sha(?:256|512|1):|(?:jar|aar|war|zip|pom)\b|npm:|[~^]?[0-9]+(?:\.[0-9]+){0,2}(?:[-+][\w.-]*)?\Z|latest\Z|\Z', re.A)
ADDRESSES = frozenset('mailto sip sips xmpp acct email mail from to cc bcc serviceaccount group member domain npm ssh smtp git principal'.split())


def mask_userinfo(match):
    """user:****@host for the password in one word."""
    word = match.group()
    if '@' not in word:
        return word
    if '://' in word:
        return mask_urls(word)
    if 'jdbc:oracle:' in word:
        return word                         # user/password@: SHAPES has it
    at = word.rfind('@')
    head, host = word[:at], word[at + 1:]
    lead = re.match(r'(?:[^=,;]*[=,;(])?', head).end() if ':' in head else 0
    colon = head.find(':', lead)
    if colon < 0 or colon == len(head) - 1:
        return word
    user, secret = head[lead:colon].lstrip('{[('), head[colon + 1:]
    if user.lower() in ADDRESSES or NOT_HOSTS.match(host) or user.lower() == 'user' and head[:lead].lower().endswith(('member=', 'principal=')):
        return word
    if secret.startswith('/') and re.match(r'[A-Za-z][\w.-]*\Z', user, re.A) and PATH_LIKE(secret):
        return word                         # volume:/path@something, scp host:/path@2
    return head[:colon + 1] + MASK + '@' + host


def mask_urls(word):
    """Each URL of a word: the userinfo ends at the last @ of the authority; a password may hold / ? # all the same."""
    parts = word.split('://')
    out = parts[:1]
    for before, part in zip(parts, parts[1:]):
        out.append(mask_authority(part, before))
    return '://'.join(out)


def mask_authority(part, scheme):
    end = re.search(r'[/?#]|\Z', part).start()
    at = part.rfind('@', 0, end)
    if at < 0:
        at = part.rfind('@')
        colon = part.find(':', 0, end)
        if at < 0 or colon < 0:
            return part
        port = part[colon + 1:end].isdigit() and part[end:end + 1] in ('/', '?', '#')
        if port and scheme.lower().endswith(('http', 'https')):
            return part                     # http://host:4873/@scope/package
    info = part[:at]
    colon = info.find(':')
    user = info if colon < 0 else info[:colon]
    shown = MASK if len(user) >= 16 and re.search(r'[0-9]', user) and not re.search(r'[.%]', user) or looks_random(user) else user
    if colon < 0:
        return shown + part[at:]
    return shown + ':' + (MASK if info[colon + 1:] else '') + part[at:]


# --- by name

# name=value, name: value, "name": "value", \"name\":\"value\", name => value, [name]=value, <name>value, "--name", "value".
PAIR = re.compile(r"""(?<![A-Za-z0-9_.-])(-{0,2}[A-Za-z_][A-Za-z0-9_.-]*)(\\*["']?\]?)([ \t]{0,4}(?:=>|:=|==|=|:|>|,)[ \t]{0,4})""")
SPACED_KEY = re.compile(r'([A-Za-z]{1,20}) \Z').search
NAMED = re.compile(r"""\\*["']?([A-Za-z_][A-Za-z0-9_.-]{0,80})""").match    # "name": "DB_PASSWORD", "value": "..."
VOLUMES = frozenset('secret secrets token tokens creds credentials cookies keys auth session sessions'.split())
SCRIPT_BEFORE = re.compile(r"""(?:\s-[a-z]*c|\beval)\s+\\*["']\Z""").search
CONTINUED = re.compile(r"""(?:[^\s"']+[;,]\s+)*[^\s"']*""")                    # Cookie: a=b; c=d
# What ends a value without quotes, by the sign before its name; in one argument, where quotes are letters, less does.
VALUE_ENDS = dict((opener, re.compile(ends)) for opener, ends in (
    ('&', r"""[&#\s"'<>]|\Z"""), ('?', r"""[&#\s"'<>]|\Z"""), ('#', r"""[&#\s"'<>]|\Z"""), (',', r"""[,\s"']|\Z"""), (';', r"""[;\s"']|\Z"""),
    ('{', r"""[,\s"'}\]]|\Z"""), ('[', r"""[,\s"'}\]]|\Z"""), ('(', r"""[,\s"')]|\Z"""), ('<', r"""<|\Z"""), (' ', r"""\s|\Z"""),
    ('"', r'"|\Z'), ("'", r"""'|\Z"""), ('line', r"""[\r\n]|\Z"""), ('ado', r""";|\Z"""), ('all', r"""\Z""")))
WHOLE_ENDS = dict((opener, re.compile(ends)) for opener, ends in (('&', r'[&#]|\Z'), ('?', r'[&#]|\Z'), (',', r',|\Z'), (';', r';|\Z')))
SCHEME = re.compile(r'(?i)(?:Bearer|Basic|Digest|Token|Negotiate|NTLM|ApiKey|Key|AWS4-HMAC-SHA256|GenieKey|SharedKey|Splunk|DPoP|OAuth|Hawk|JWT|HMAC)(?=\s|\Z)').match
ADO = re.compile(r'[A-Za-z][\w .-]{0,64}=[^;\n]*;', re.A).match


def mask_pairs(text, whole=False):
    """Mask the values of secret names in a text. whole: the text is one argument, so what it starts with ends with it."""
    out, done, named = [], 0, HARMLESS
    ado = bool(ADO(text)) and '--' not in text
    match = PAIR.search(text)
    while match:
        start = match.end()
        name, before = match.group(1), text[match.start() - 1:match.start()] if match.start() else ''
        lowered = name.lower()
        if lowered.lstrip('-') in ('key', 'keys') and before == ' ':
            earlier = SPACED_KEY(text[max(0, match.start() - 21):match.start()])
            if earlier:                     # Account Key=...;
                name, before = earlier.group(1) + '-' + name, ';'
        if lowered in ('value', 'val') and named >= PATHY:
            name = 'secret'
        called = NAMED(text, start) if lowered in ('name', 'key') else None
        if called or match.group(3).strip() != ',':
            named = kind_of(called.group(1)) if called else HARMLESS
        if is_pair(name, match, before, text) and (kind_of(name) or before in ('?', '&') and lowered in QUERY_NAMES):
            span = value_span(text, match, before, whole, ado)
            masked = masked_pair(name, match, before, text[start:span[0]], text[span[0]:span[1]])
            if masked is not None:
                out += [text[done:span[0]], masked]
                done = start = span[1]
        match = PAIR.search(text, start)
    return ''.join(out) + text[done:]


def is_pair(name, match, before, text):
    """Is what looks like a name and its value one, here?"""
    sign = match.group(3).strip()
    if sign == '>':
        return before == '<'
    if sign == ',':                         # ["--password", "..."]
        return name.startswith('-') and match.group(2) != '' and text[match.end():match.end() + 1] in ('"', "'", '\\')
    if before == '/' and sign == ':':       # /run/secrets:ro
        return not re.match(r'\w', text[match.start() - 2:match.start() - 1])
    if before in ('"', "'") and SCRIPT_BEFORE(text[max(0, match.start() - 16):match.start()]):
        return False                        # sh -c "PGPASSWORD=... psql": the words of the script will be looked at
    return True


def masked_pair(name, match, before, opener, value):
    header = ':' in match.group(3)
    if not opener and match.group(3)[-1] in ' \t' and OPTION_LIKE(value):
        return None                         # --password= --token=
    if value[:1] in ('[', '{') and kind_of(name) != STRONG and (match.group(2) or '=' in match.group(3)):
        return None                         # "auth": {...}: its own names will be looked at
    if header and not opener and name.lower() in VOLUMES and not match.group(3).endswith((' ', '\t')) and PATH_LIKE(value.split(':')[0]):
        return None                         # secrets:/run/secrets:ro is a volume
    if header and value in ('file', 'env'):
        return None                         # keytool -storepass:file
    if header and kind_of(name) == AUTH and value:
        scheme = SCHEME(value)
        return scheme.group() + ' ' + MASK if scheme and value[scheme.end():].strip() else mask_value(name, value)
    return mask_value(name, value, query=before in ('?', '&'))


def value_span(text, match, before, whole, ado):
    """(start, end) of the value after a name: within its quotes or brackets, or up to what can end it there."""
    start = match.end()
    opener = re.compile(r"""\\*["']""").match(text, start)
    if opener and len(opener.group()) < 20:
        end, closer = quoted_end(text, opener.end(), opener.group())
        after = text[end + len(closer):end + len(closer) + 2]
        if closer == '' or len(closer) > 1 or not glued(after):
            return opener.end(), end
        return start, shell_end(text, start)
    if text[start:start + 1] in ('[', '{') and kind_of(match.group(1)) == STRONG:
        return start, bracket_end(text, start)
    quote = match.group(2).strip('\\')
    if quote in ('"', "'"):                 # a JSON number or word
        return start, VALUE_ENDS['{'].search(text, start).start()
    if not match.start() and whole or whole and before == '=':
        how = 'all'
    elif ':' in match.group(3) and (before in ('', '\n') or whole and not match.start()):
        how = 'line' if match.group(3)[-1] in ' \t' else ' '
    elif before == ';' or ado:
        how = 'ado' if ado else ';'
    else:
        how = before if before in VALUE_ENDS else ' '
    if how == ' ' and ':' in match.group(3) and 'cookie' in match.group(1).lower():
        return start, CONTINUED.match(text, start).end()
    ends = WHOLE_ENDS.get(how) if whole else None
    return start, (ends or VALUE_ENDS[how]).search(text, start).start()


def glued(after):
    """Does the shell go on with the same word behind a closing quote: 'a'"b", 'a'\\''b', 'a'b?"""
    if after[:1] in ('"', "'"):
        return after[1:2] not in ('', ' ', '\t', '\n', ')', ',', ';', '}', ']', '"', "'", '&', '|')
    return after[:1] == '\\' and after[1:2] in ('"', "'") or after[:1].isalnum() or after[:1] in ('$', '@', '!', '%', '*', '#', '-', '+', '/', '_', '.')


def shell_end(text, start):
    for match in PIECE.finditer(text, start):
        if match.group(1):
            return match.start()
    return len(text)


def bracket_end(text, start):
    """The end of a [list] or {object}; of the text when it never closes."""
    depth = 0
    for match in re.compile(r"""["](?:[^"\\]|\\.)*["]|[\[{]|[\]}]""", re.S).finditer(text, start):
        depth += {'[': 1, '{': 1, ']': -1, '}': -1}.get(match.group(), 0)
        if depth == 0:
            return match.end()
    return len(text)


# --- by the grammar of a command line

# Clients whose one-letter options carry a secret: which letters; letters without a value that may stand before them (-sSu); and
# what the value is: 'secret', 'joined' (-pX but never -p X), 'cookie', or the sign between user and password.
CLIENTS = {}
for names, flags, letters, form in (
        ('mysql mysqldump mysqladmin mysqlimport mysqlshow mysqlcheck mysqlslap mysqlpump mysqlbinlog mysqlsh mysql_upgrade mysql_config_editor '
         'mariadb mariadb-dump mariadb-admin mariadb-check mariadb-import mariadb-show mariadb-binlog mydumper myloader mycli xtrabackup '
         'innobackupex mariabackup mytop pt-online-schema-change pt-query-digest pt-table-checksum pt-archiver pt-kill',
         'vsBNEHrqtfCAin', 'p', 'secret'),
        ('mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop mongofiles cqlsh dsbulk sshpass rabbitmqadmin rdesktop '
         'ncftp ncftpput ncftpget smbmap crackmapexec login arangosh arangodump couchbase-cli cbbackup beeline impyla elasticsearch-users '
         'elasticsearch-certutil useradd usermod twine cadaver snowsql youtube-dl yt-dlp racadm hydra', 'v', 'p', 'secret'),
        ('ssh-keygen', 'qlpyBc', 'NP', 'secret'),
        ('check_snmp', '', 'CAX', 'secret'),
        ('doctl', '', 't', 'secret'),
        ('nuget', '', 'k', 'secret'),
        ('redis-cli valkey-cli keydb-cli redis-benchmark valkey-benchmark', 'cx', 'a', 'secret'),
        ('curl curlie', 'sSLkfviIgGNOJRaqjlnp0123456#Z', 'uUE', ':'),
        ('curl curlie', 'sSLkfviIgGNOJRaqjlnp0123456#Z', 'b', 'cookie'),
        ('http https xh xhs hey check_http', 'vhbfjI', 'a', ':'),
        ('transmission-remote', '', 'n', ':'),
        ('ab', 'kqvid', 'AP', ':'),
        ('ab', 'kqvid', 'C', 'cookie'),
        ('ldapsearch ldapmodify ldapadd ldapdelete ldapwhoami ldapcompare ldapmodrdn ldapexop kadmin', 'xZLnvcMPA', 'w', 'secret'),
        ('ldappasswd', 'xZnvSA', 'wsa', 'secret'),
        ('smbclient rpcclient net smbget smbcacls smbtree winexe wmic nmblookup', 'NkPLgq', 'U', '%'),
        ('lftp', '', 'u', ','),
        ('7z 7za 7zr 7zz rar unrar', '', 'p', 'joined'),
        ('zip unzip zipinfo funzip', 'qrjoue', 'P', 'secret'),
        ('sqlcmd bcp osql tsql freebcp isql ipmitool mosquitto_pub mosquitto_sub mosquitto_rr', 'ECIN', 'P', 'secret'),
        ('snmpget snmpwalk snmpbulkwalk snmpset snmptable snmptrap snmpgetnext snmpbulkget', '', 'AXc', 'secret'),
        ('openssl', '', 'kK', 'secret'),
        ('ffmpeg x264 x265 HandBrakeCLI', '', '', 'passes')):
    for client in names.split():
        CLIENTS.setdefault(client, (flags, {}))[1].update((letter, form) for letter in letters)

# Secrets without an option: client, the word after which they come, how many words before them, how many they are.
POSITIONS = dict(((client, word), (before, count)) for clients, word, before, count in (
    ('rabbitmqctl', 'add_user', 1, 1), ('rabbitmqctl', 'change_password', 1, 1), ('rabbitmqctl', 'authenticate_user', 1, 1),
    ('vault', 'login', 0, 1), ('vault', 'unseal', 0, 1), ('mysqladmin', 'password', 0, 1), ('pppd nmcli', 'password', 0, 1), ('iwconfig', 'key', 0, 1),
    ('redis-cli valkey-cli keydb-cli', 'auth', 0, 2), ('mc', 'set', 2, 2), ('composer', 'http-basic', 1, 1),
    ('ngrok', 'authtoken', 0, 1), ('cargo', 'login', 0, 1), ('snyk', 'auth', 0, 1), ('pulumi', 'set', 1, 1), ('ngrok', 'add-authtoken', 0, 1), ('wpa_passphrase', 'wpa_passphrase', 1, 1), ('influx', 'auth', 1, 1))
    for client in clients.split())
PAIR_VERBS = dict([('vault', ('put', 'write', 'patch', 'login'))] + [(client, ('set', 'import', 'config:set', 'env:set'))
                                                                     for client in 'flyctl fly heroku dokku'.split()])
LOGIN_CLIENTS = frozenset('docker podman nerdctl buildah skopeo helm oc az cf crane oras regctl ibmcloud argocd rancher'.split())
NO_LOGIN = frozenset('sudo doas runuser su journalctl lsof ps pgrep pkill top mkdir cp tar ssh nmap perf strace psql'.split())
SQLPLUS = frozenset('sqlplus sqlplus64 exp imp expdp impdp sqlldr rman sqlcl'.split())
KNOWN = frozenset(CLIENTS) - {'login'} | LOGIN_CLIENTS | SQLPLUS | CONTAINERS | frozenset(client for client, word in POSITIONS) | frozenset(PAIR_VERBS) | frozenset('aws htpasswd sudo doas journalctl'.split())
NAME_OPTIONS = frozenset('--name --hostname --host --network -h --user -u -U -n --container -c --service --label -l'.split())
USER_OPTIONS = frozenset('user proxy-user proxyuser userpwd userpass credentials creds src-creds dest-creds auth basic-auth http-auth web-auth basicauth httpauth '
                         'u username login cert proxy-cert'.split())
USER_OF_CURL = frozenset('u username login cert proxy-cert'.split())    # names that mean user:password to curl and httpie only
COLLECTED = frozenset('chpasswd --stdin --password-stdin -S --pass-stdin'.split())
OPTION = re.compile(r'(--?|/)([A-Za-z_][A-Za-z0-9_.-]*)([=:]?)(.*)\Z', re.S).match
OPTION_LIKE = re.compile(r'--[a-z][a-z0-9-]*(?:=.*)?\Z|-(?:[A-Za-z?]|[a-z][a-z-]+|[DX][^\s]+|[A-Za-z][0-9]{1,5})(?:=.*)?\Z', re.S).match
HEADER = re.compile(r'([A-Za-z][A-Za-z0-9_-]{0,60}):\Z').match
PORTS = re.compile(r'(?:[\w.\[\]:-]+:)?[0-9-]+:[0-9-]+(?:/(?:tcp|udp))?\Z', re.A).match
SHELL_SIGNS = frozenset('| || & && ; > >> < 2> 2>&1'.split())
UNFINISHED = re.compile(r'(?i)(?:proxy-)?authorization:\s{0,9}(?:bearer|basic|token|negotiate|apikey)\Z').match
SET_NAME = re.compile(r'.*[:.](\w+)\Z', re.S | re.A).match
GLUED_CLIENT = re.compile(r'[;|&(`$/.\w-]*[;|&(`$/]([A-Za-z0-9_+-]+)\Z', re.A).match
SETTERS = frozenset('set config add put --set configure setex'.split())
INERT = re.compile(r'(?!-)[A-Za-z0-9_.,+%/-]{0,200}\Z').match


class CommandLine:
    """One pass over the words of a command line: what the words so far demand of the next one.

    A demand is a function of the next word that returns it masked, or None when the word is not the value after all."""

    def __init__(self, words, depth):
        self.depth = depth
        self.client = ''
        self.before = ''            # the word before this one
        self.demand = None
        self.pem = ''               # 'in' a PEM block, or in its 'last' line
        self.user_seen = False      # ... user bob password X
        self.pairs = False          # vault kv put PATH NAME=SECRET...
        self.secure = 'SecureString' in words       # aws ssm put-parameter --type SecureString --value X

    def word(self, word):
        """The word, masked."""
        if word[:1].isspace():
            bare = word.lstrip()
            return word[:len(word) - len(bare)] + (self.word(bare) if bare else '')
        demand, self.demand = self.demand, None
        masked = self.in_pem(word)
        if masked is None and demand is not None:
            masked = demand(word)
        if masked is None:
            masked = self.plain(word) if INERT(word) else self.other(word)
        self.before = word
        return masked

    def in_pem(self, word):
        """A PEM block may be split at its spaces: -----BEGIN, RSA, PRIVATE, KEY-----, ..., -----END, ..., KEY-----."""
        if self.pem == 'last':
            self.pem = '' if word.endswith('-----') else 'last'
            return MASK
        begin, end = word.rfind('-----BEGIN'), word.rfind('-----END')
        if begin > end:
            self.pem = 'in'
            return mask_text(word, self.depth, True)
        if not self.pem:
            return None
        if end >= 0:
            self.pem = '' if word.rfind('-----') > end else 'last'
        return MASK

    def plain(self, word):
        """A word of letters, digits and a few signs: a command, a client, a keyword, a path, a value."""
        base = word.rpartition('/')[2]
        lowered = word.lower()
        if base == 'login' and self.client in LOGIN_CLIENTS or base in KNOWN and self.before not in NAME_OPTIONS:
            self.client = base
        if lowered in PAIR_VERBS.get(self.client, ()):
            self.pairs = True
        if lowered in ('user', 'username'):
            self.user_seen = True
        where = POSITIONS.get((self.client, lowered.partition('.')[0]))
        if where:
            self.demand = self.position(*where)
        elif lowered in ('bearer', 'requirepass', 'masterauth', 'convertto-securestring') or self.before in SETTERS and kind_of(word) == STRONG or self.user_seen and lowered == 'password':
            self.demand = self.secret
        if self.client in SQLPLUS and base != self.client and '/' in word and not word.startswith(('/', '.')):
            return word.split('/')[0] + '/' + MASK
        return mask_shapes(word)

    def other(self, word):
        """An option, an assignment, a header, a URL, a script."""
        if word[0] in '-/':
            masked = self.option(word)
            if masked is not None:
                return masked
        if word.startswith('<<<'):
            self.demand = None if word[3:] else self.secret
            return '<<<' + MASK if word[3:] else word
        header = HEADER(word)
        if header and kind_of(header.group(1)) >= AUTH:
            self.demand = self.cookie if 'cookie' in word.lower() else self.scheme if kind_of(header.group(1)) == AUTH else self.secret
            return word
        if UNFINISHED(word):
            self.demand = self.secret       # 'Authorization: Bearer' and the rest is in the next argument
            return word
        if self.pairs and '=' in word and word[0] != '-':
            name, _, value = word.partition('=')
            return word if value.startswith('@') or value in ('', '-') or name in ('method', 'username') else name + '=' + MASK
        if self.client in SQLPLUS and re.match(r'[A-Za-z_][\w$#.-]*/', word, re.A):
            return word.split('/')[0] + '/' + MASK + (word[word.rfind('@'):] if '@' in word else '')
        glued_client = GLUED_CLIENT(word)   # cd /x;mysql -p..., $(mysql -p...
        if glued_client and glued_client.group(1) in CLIENTS:
            self.client = glued_client.group(1)
        if self.before in SETTERS and SET_NAME(word) and kind_of(SET_NAME(word).group(1)) == STRONG:
            self.demand = self.secret       # npm config set //registry/:_authToken X
        return mask_text(word, self.depth, self.whole())

    def whole(self):
        """Is this word, if it holds spaces, one value rather than a script?"""
        if self.before in ('-e', '-i'):
            return self.client in CONTAINERS
        return not (re.match(r'-[a-z]*c\Z', self.before) or self.before in ('eval', '--command', '-Command'))

    def option(self, word):
        """--name=value, --name value, -Dname=value, -pX, /p:X; None when it is none of them."""
        match = OPTION(word)
        if not match:
            return None
        dashes, name, sign, value = match.groups()
        if dashes == '/':
            return self.slash(name, sign, value)
        masked = self.letters(word) if dashes == '-' else None
        if masked is not None:
            return masked
        if name == 'from-literal':
            self.demand = None if sign else self.literal
            return '--from-literal=' + self.literal(value) if sign else word
        if self.client == 'htpasswd' and re.match(r'-[a-zA-Z]*b', word):
            self.demand = self.position(2, 1)
            return word
        if sign:
            return self.joined(dashes + name + sign, name, sign, value)
        if not value:
            self.demand = self.wanted(name)
            if name in ('u', 'U', 'user', 'username') and self.client not in CONTAINERS and self.client not in NO_LOGIN:
                self.user_seen = True
            elif name == 'p' and self.user_seen and self.client not in NO_LOGIN:
                self.demand = self.guessed  # tool -u bob -p X
            return word
        return None

    def slash(self, name, sign, value):
        """/p:X as xfreerdp takes it; a path that holds a colon is none of it."""
        if sign != ':' or '/' in value:
            return None
        return '/%s:%s' % (name, MASK) if name in ('p', 'gp') or kind_of(name) == STRONG and value else None

    def wanted(self, name):
        """What an option demands of the word behind it."""
        words = NAME_WORD(name)
        if len(words) > 1 and words[0].lower() in FLAG_FIRST:
            return None
        if self.harmless_here(name):
            return None
        if self.secure and name == 'value':
            return self.secret
        if self.user_option(name) or kind_of(name) != HARMLESS:
            return lambda word: self.judged(name, word)
        return None

    def harmless_here(self, name):
        """Names that are secrets to all programs but this one."""
        return (name == 'secret' and self.client in CONTAINERS or name == 'secret-id' and self.client == 'aws'
                or name == 'pass' and self.client in CLIENTS and not CLIENTS[self.client][1])

    def joined(self, head, name, sign, value):
        """--name=value as a whole: nothing of the value may be taken for another pair."""
        if self.harmless_here(name) or sign == ':' and (value in ('file', 'env') or not kind_of(name)):
            return None if sign == ':' and value not in ('file', 'env') else head + value
        masked = self.judged(name, value, True)
        return head + (mask_text(value, self.depth, True) if masked is None else masked)

    def user_option(self, name):
        """Does this option take user:password? For curl --user it does; for docker --user 1000:1000 it does not."""
        if name in USER_OF_CURL:
            return ':' in CLIENTS.get(self.client, ('', {}))[1].values()
        return name in USER_OPTIONS and not (name == 'user' and self.client in CONTAINERS)

    def letters(self, word):
        """-pX, -p X, -sSu user:pass of the clients that take them so; None for all others."""
        flags, letters = CLIENTS.get(self.client, ('', None))
        if not letters:
            return None
        index = 1
        while index < len(word) and word[index] in flags and word[index] not in letters:
            index += 1
        letter, rest = word[index:index + 1], word[index + 1:]
        if letter not in letters or not letter:
            return None
        if index == 1 and len(rest) > 1 and kind_of(word[1:].partition('=')[0]) and re.match(r'-[a-z]+(?:[=:]|\Z)', word) or rest and self.client == 'openssl':
            return None                     # -pass, -passin, -password: a name of its own
        form = letters[letter]
        if rest:
            masked = MASK if form in ('secret', 'joined') else self.part(form, rest)
            return word[:index + 1] + (rest if masked is None else masked)
        if form != 'joined':
            self.demand = self.typed if form == 'secret' else lambda following: self.part(form, following)
        return word

    # what a demand does with the word that comes

    def secret(self, word):
        return None if not word or OPTION_LIKE(word) or word in SHELL_SIGNS else MASK

    def typed(self, word):
        """mysql -p X: not what mysql takes for a password, but what people type as one. docker -p 1:2 may come by, though."""
        return None if PORTS(word) else self.secret(word)

    def guessed(self, word):
        """-p X behind -u USER of a program that is not known: a password, unless it is a number, ports or a path."""
        return None if word.isdigit() or '/' in word else self.typed(word)

    def part(self, form, word):
        """What a letter's value hides: a cookie when it is not a file, or what comes behind the sign."""
        if form == 'cookie':
            return MASK if '=' in word else None
        return self.user(word, form)

    def judged(self, name, word, joined=False):
        """The value of --name, behind = or as a word of its own: then it may be the next option instead."""
        if not word or not joined and (OPTION_LIKE(word) or word in SHELL_SIGNS):
            return None
        if name == 'secret' and re.match(r'(?:id|type|source|src|target)=', word):
            return word
        if self.user_option(name) and '://' not in word:
            masked = self.user(word, ':')
            if masked is not None:
                return masked
        masked = mask_value(name, word)
        return word if masked is None and kind_of(name) == STRONG else masked

    def user(self, word, sign):
        """user:****; a user alone stays, and so do the two numbers that a container takes."""
        user, colon, secret = word.partition(sign)
        if not colon or not secret or OPTION_LIKE(word) or '://' in word:
            return None
        if sign == ':' and self.client not in ('curl', 'http') and re.match(r'[0-9]+:[0-9]+\Z', word):
            return None
        return mask_shapes(user) + sign + MASK

    def scheme(self, word):
        """The word behind Authorization: is a scheme, and then the secret comes, or is the secret itself."""
        if OPTION_LIKE(word) and kind_of(word.partition('=')[0]):
            return None
        if SCHEME(word) and len(word) < 20:
            self.demand = self.digest if word.lower() in ('digest', 'aws4-hmac-sha256', 'oauth', 'hawk') else self.secret
            return word
        return MASK

    def digest(self, word):
        """Digest username="...", response="...": goes on while there are commas."""
        if word.endswith(','):
            self.demand = self.digest
        return MASK + ',' * word.endswith(',')

    def cookie(self, word):
        if word.endswith(';'):
            self.demand = self.cookie
        return MASK + ';' * word.endswith(';')

    def literal(self, word):
        """kubectl create secret --from-literal=NAME=VALUE: every value is one."""
        name, sign, value = word.partition('=')
        return name + '=' + MASK if value else word

    def position(self, before, count):
        """A demand that lets `before` words pass and masks `count` after them; options do not count."""
        def demand(word):
            passing = OPTION_LIKE(word) or word in SHELL_SIGNS or self.client == 'vault' and '=' in word
            self.demand = self.position(before, count) if passing else self.position(before - 1, count) if before else \
                self.position(0, count - 1) if count > 1 else None
            return None if passing or before else MASK

        def keep(word):
            masked = demand(word)
            if masked is None:              # the word is looked at as any other, which must not forget the demand
                wanted = self.demand
                masked = self.plain(word) if INERT(word) else self.other(word)
                self.demand = wanted if word not in SHELL_SIGNS else None
            return masked
        return keep


def fed(words):
    """Indexes of the words that echo or printf hands to a command that reads a password: echo X | sudo -S, ... | chpasswd."""
    if not any(word in COLLECTED or word == 'chpasswd' for word in words):
        return frozenset()
    found, run = set(), None
    for index, word in enumerate(words):
        if word.rpartition('/')[2] in ('echo', 'printf'):
            run = []
        elif run is not None and word.startswith('|'):
            found.update(run)
            run = None
        elif run is not None and not re.match(r'-[neE]+\Z', word):
            run.append(index)
    return found


def mask_words(words, depth):
    """The words of a command line (str), masked."""
    line = CommandLine(words, depth)
    secrets = fed(words)
    out = []
    for index, word in enumerate(words):
        masked = line.word(word) if word else line.word('') if line.demand else word
        out.append(MASK if index in secrets else masked)
    return out


# A shell's pieces: spaces, 'literal', "with \" escapes", an escaped character, a run of others, a quote that never closes.
PIECE = re.compile(r"""((?:[ \t\r\n\f\v]|\\\r?\n)+)|('[^']*')|("[^"\\]*(?:\\.[^"\\]*)*")|(\\.)|([^\s'"\\]+)|(.)""", re.S)


def shell_words(text):
    """[(start, end, value without quotes, was quoted)] of a text read as a shell would. An apostrophe alone is a character."""
    words, parts, start, quoted = [], [], 0, False
    for match in PIECE.finditer(text):
        if match.group(1):
            if parts:
                words.append((start, match.start(), ''.join(parts), quoted))
            parts, quoted = [], False
            continue
        if not parts:
            start = match.start()
        piece = match.group()
        if match.group(2) or match.group(3):
            quoted = True
            inner = piece[1:-1]
            parts.append(re.sub(r'\\(["\\$`])', r'\1', inner) if match.group(3) and '\\' in inner else inner)
        elif match.group(4):
            quoted = True
            parts.append(piece[1])
        else:
            parts.append(piece)
    if parts:
        words.append((start, len(text), ''.join(parts), quoted))
    return words


def mask_command(text, depth):
    """A text as a command line: its shell words masked, what is between them left as it is."""
    words = shell_words(text)
    masked = mask_words([word[2] for word in words], depth)
    out, done = [], 0
    for (start, end, value, quoted), new in zip(words, masked):
        if new == value:
            continue
        out += [text[done:start], requoted(text[start:end], new) if quoted else new]
        done = end
    return ''.join(out) + text[done:]


def requoted(raw, new):
    """A masked word in the quotes that it had; without them when it needs none."""
    if not re.search(r"""[\s"'\\]""", new):
        return new if raw[:1] not in '\'"' or raw[-1:] != raw[:1] else raw[0] + new + raw[0]
    if "'" not in new:
        return "'" + new + "'"
    return '"' + re.sub(r'(["\\])', r'\\\1', new) + '"'


def mask_text(text, depth=DEPTH, whole=False):
    """Any text: by shape, by name, and, when it has spaces, as a command line."""
    if not text or text == MASK:
        return text
    text = mask_shapes(text)
    if '=' in text or ':' in text or '>' in text or ',' in text:
        text = mask_pairs(text, whole)
    if re.search(r'\s', text):
        text = mask_command(text, depth - 1) if depth > 0 else MASK
    return text


# --- the family

BUGS = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)


def settled(mask, given, instead):
    """mask(given), and again until nothing changes: a masked value makes its surroundings plain, and what is masked once must stay
    so in a report of a capture. A bug, or no end, must not become a leak: then `instead`."""
    try:
        for _ in range(6):
            masked = mask(given)
            if masked == given:
                return given
            given = masked
    except BUGS:
        pass
    return instead


def cut_text(text):
    """No more than LONGEST characters, cut between words: what is behind them is masked unread."""
    if len(text) <= LONGEST + 8:
        return text
    return text[:max(text.rfind(sign, 0, LONGEST) for sign in ' \n\t') + 1] + MASK


def cut_words(words):
    room = LONGEST
    for index, word in enumerate(words):
        room -= len(word) + 1
        if room < 0 and word != MASK:
            return words[:index] + [cut_text(word) if len(word) > LONGEST else MASK]
    return words


def redact_text(s):
    """Free text (a title, mount options, the kernel's command line, a path) without its secrets: str in, str out."""
    return settled(lambda text: mask_text(cut_text(text)), s, MASK)


def redact_argv(argv):
    """The arguments of a process (bytes) without its secrets. One argument alone with spaces is a title: it is read as a text."""
    words = [word.decode('utf-8', 'surrogateescape') for word in argv]
    title = len([word for word in words if word]) == 1
    named = not title and bool(words) and bool(INERT(words[0]))
    masked = settled((lambda words: [mask_text(cut_text(word)) for word in words]) if title else (lambda words: mask_words(cut_words(words), DEPTH)),
                     words, words[:named] + [MASK] * (len(words) - named))
    return [word.encode('utf-8', 'surrogateescape') for word in masked]


def redact_cmdline(data):
    """/proc/PID/cmdline: arguments that each end in NUL, or a title that the process wrote over them."""
    return b'\0'.join(redact_argv(data.split(b'\0')))


# The variables whose values say how a process runs and never who it is. Their values go through redact_text all the same.
HARMLESS_ENV = frozenset((
    'PATH LANG LANGUAGE TZ HOME TERM SHELL USER LOGNAME PWD OLDPWD HOSTNAME HOSTTYPE SHLVL TMPDIR _ EDITOR PAGER COLUMNS LINES container '
    'KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT POD_NAME POD_NAMESPACE POD_IP NODE_NAME NODE_IP '
    'LD_LIBRARY_PATH LD_PRELOAD MALLOC_ARENA_MAX MALLOC_CONF GLIBC_TUNABLES OMP_NUM_THREADS OPENBLAS_NUM_THREADS UV_THREADPOOL_SIZE '
    'GOMAXPROCS GOGC GODEBUG GOMEMLIMIT GOTRACEBACK RUST_BACKTRACE JAVA_HOME JAVA_VERSION NODE_ENV NODE_VERSION '
    'PYTHONPATH PYTHONHOME PYTHONUNBUFFERED PYTHONHASHSEED PYTHONFAULTHANDLER PYTHONDONTWRITEBYTECODE PYTHONIOENCODING PYTHONUTF8 '
    'PYTHONOPTIMIZE PYTHONMALLOC PYTHONASYNCIODEBUG PYTHONTRACEMALLOC PYTHONDEVMODE PYTHON_VERSION PYTHON_GIL VIRTUAL_ENV '
    'WEB_CONCURRENCY DEBIAN_FRONTEND NOTIFY_SOCKET LISTEN_FDS LISTEN_PID MAINPID WATCHDOG_USEC WATCHDOG_PID SYSTEMD_EXEC_PID '
    'JOURNAL_STREAM INVOCATION_ID XDG_RUNTIME_DIR CUDA_VISIBLE_DEVICES NVIDIA_VISIBLE_DEVICES').split())
ENV_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_.%()-]{0,127}\Z').match


def redact_variable(entry):
    """NAME=**** for one variable (str); an entry that is none (the process wrote over it) is masked whole."""
    name, sign, value = entry.partition('=')
    if not entry or entry == MASK:
        return entry
    if not sign or not ENV_NAME(name) or mask_shapes(name) != name:
        return MASK
    if not value:
        return entry
    if name in HARMLESS_ENV or name.startswith('LC_'):
        return name + '=' + redact_text(value)
    return name + '=' + MASK


def redact_environ(data):
    """/proc/PID/environ: the names, and the values of the harmless ones."""
    entries = data.decode('utf-8', 'surrogateescape').split('\0')
    return '\0'.join(redact_variable(entry) for entry in entries).encode('utf-8', 'surrogateescape')


# ROOM FILES ===================================================================
# One block per /proc file: an example, its record, its pure parser. Bytes in,
# record out. A parser is a guest: it skips what it does not know, loses a line
# and not the file, and never raises. To add a file: one block, and a test.


# --- PID/stat: 45678 (pay) R) S 1 45678 45678 0 -1 4194560 1203 0 0 0 11 4 ...
# The name ends at the LAST ')': it may itself hold ') R 1 (' and newlines.
# 44 fields in 2.6.32, 52 since 3.5.

STAT_COLUMNS = dict(ppid=1, pgrp=2, session=3, tty_nr=4, flags=6, minflt=7, majflt=9,
                   utime=11, stime=12, cutime=13, cstime=14, priority=15, nice=16,
                   num_threads=17, starttime=19, vsize=20, rss=21, processor=36,
                   rt_priority=37, policy=38, blkio_ticks=39, exit_code=49)
STAT_PICKED = operator.itemgetter(*STAT_COLUMNS.values())


def parse_stat(data):
    """-> Stat or None. Fields that the kernel lacks are None."""
    head, paren, tail = data.rpartition(b')')
    pid_word, opening, comm = head.partition(b' (')
    pid = number(pid_word)
    words = tail.split()
    if not paren or not opening or pid is None or not words:
        return None
    state = text(words[0])[:1]
    if len(words) >= 50 and len(tail) < 1200:           # every kernel from 3.5 on, and nothing else: in half the time
        try:
            return Stat(pid, sys.intern(text(comm)), state, *map(int, STAT_PICKED(words)))
        except ValueError:
            pass
    return Stat(pid, text(comm), state, **{name: number(words[index]) for name, index in STAT_COLUMNS.items() if index < len(words)})


def parse_stat_look(data):
    """-> Look or None: the cheap form for the many later looks."""
    words = data.rpartition(b')')[2].split(None, 13)
    if len(words) < 13:
        return None
    return Look(text(words[0])[:1], number(words[11]), number(words[12]), number(words[9]))


# --- PID/status: "Name:\tpayment\nUmask:\t0022\nState:\tS (sleeping)\n..."

def parse_status(data):
    """-> dict of str to str; escapes in Name stay as the kernel wrote them."""
    fields = {}
    for line in text(data).split('\n'):
        name, colon, value = line.partition(':')
        if colon and name not in fields:
            fields[name] = value.strip('\t ')
    return fields


THREAD_STATUS = tuple((name, b'\n' + name.encode() + b':') for name in (
    'State', 'NSpid', 'SigPnd', 'SigBlk', 'voluntary_ctxt_switches', 'nonvoluntary_ctxt_switches'))


def parse_thread_status(data):
    """The few lines of a thread's status that differ from its process's: all sixty of 2,000 threads
    would cost 20 MB."""
    fields = {}
    for name, mark in THREAD_STATUS:
        at = data.find(mark)
        if at >= 0:
            start = at + len(mark)
            end = data.find(b'\n', start)
            fields[name] = sys.intern(text(data[start:end if end >= 0 else None]).strip('\t '))      # alike in most threads
    return fields


def status_number(status, name):
    """The first number of a status line (VmRSS: kB; PPid; Threads), or None."""
    words = (status or {}).get(name, '').split()
    return number(words[0]) if words else None


def status_mask(status, name):
    """A hexadecimal signal mask of status as int, or None."""
    return number((status or {}).get(name, ''), 16)


# --- PID/syscall: "202 0x7f1b2c 0x80 0x2 0x0 0x0 0x0 0x7ffc 0x7f1b", "running",
# "-1 0x7ffc 0x7f1b" (in a page fault), "-1 0x0 0x0" (zombie)

def parse_syscall(data):
    """-> Syscall or None. A kernel thread says 0 0x0 ...: that is no read(0)."""
    words = data.split()
    if not words:
        return None
    if words[0] == b'running':
        return Syscall('running')
    if len(words) not in (3, 9) or len(data) > 400:
        return None
    try:
        values = [int(words[0])] + [int(word, 16) for word in words[1:]]
    except ValueError:
        return None
    if values[0] < 0:
        return Syscall('outside' if any(values[1:]) else 'none', None, (), values[1], values[2])
    if len(values) != 9:
        return None
    if not any(values[1:]):
        return Syscall('none', values[0])
    return Syscall('call', values[0], tuple(values[1:7]), values[7], values[8])


# --- PID/wchan: "futex_wait_queue_me" without a newline; "0" is no answer

def parse_wchan(data):
    """-> the name, '0' where the kernel gives no answer."""
    return sys.intern(text(data.strip()[:200])) or '0'


# --- PID/stack: "[<0>] futex_wait_queue_me+0xc1/0x120\n[<0>] futex_wait+0x10d/0x260"

def parse_stack(data):
    """-> tuple of function names, innermost first."""
    names = []
    for line in text(data).split('\n')[:64]:
        name = line.partition('] ')[2].partition('+')[0].strip()
        if name:
            names.append(name.split(' ')[0][:120])
    return tuple(names)


# --- PID/maps: "7f1b2c000000-7f1b2c021000 rw-p 00000000 00:00 0    [heap]"

def parse_maps(data):
    """-> list of Mapping; lines that do not fit are left out."""
    rows, same = [], {}
    place = 0
    while place < len(data):
        stop = data.find(b'\n', place + 65536) + 1 or len(data)         # the words of all of it would be as large as all the rest
        for start, end, perms, offset, dev, inode, path in MAPS_LINE.findall(data, place, stop):
            start, end = int(start, 16), int(end, 16)
            if end < start:
                continue
            key = (perms, dev, path)            # 20,000 mappings share a few dozen of these words
            words = same.get(key)
            if words is None:
                words = same[key] = (text(perms), text(dev), text(path))
            rows.append(Mapping(start, end, words[0], int(offset, 16) if offset != b'00000000' else 0, words[1],
                                int(inode) if inode != b'0' else 0, words[2]))
        place = stop
    return rows


MAPS_LINE = re.compile(br'^([0-9a-f]{1,16})-([0-9a-f]{1,16})[ \t]+(\S+)[ \t]+([0-9a-f]{1,16})[ \t]+(\S+)[ \t]+([0-9]{1,20})[ \t]*([^\n]*)', re.M)


# --- PID/cmdline: b"/usr/bin/payment\0--port\0008080\0"; a title has no NULs

def parse_cmdline(data):
    """-> list of arguments; an empty one stays."""
    if not data:
        return []
    if data.endswith(b'\0'):
        data = data[:-1]
    return [text(word) for word in data.split(b'\0')]


# --- PID/environ: b"PATH=/usr/bin\0LANG=C\0"

def parse_environ(data):
    """-> list of (name, value); value None where there was no '='."""
    rows = []
    for word in data.split(b'\0'):
        if word:
            name, equals, value = text(word).partition('=')
            rows.append((name, value if equals else None))
    return rows


# --- PID/auxv: pairs of machine words, ended by a pair of zeros

def auxv_bits(data):
    """-> 64, 32 or None. The first type is small: read as 64-bit words, the high
    halves of a 64-bit vector's types are 0; of a 32-bit vector's they are values."""
    if len(data) < 32:
        return None
    types = struct.unpack_from('<4Q', data)[0::2]
    return 64 if all(word < 0x10000 for word in types) else 32


# --- ns/net -> "net:[4026531840]"

def ns_inode(link):
    """-> the number of a namespace link, or None."""
    return number((link or '').partition('[')[2].rstrip(']')) if link else None


# ROOM SOCKETS ===============================================================
# Files, sockets and locks as /proc prints them, what sock_diag adds to that, who else has a pipe or socket
# open, and the joins between them. Parsers first, then what is asked in the guarded child, then pure joins.
# To add a file: a block as in FILES. To add a kind of descriptor: a row of ANON_KINDS.

class Socket(NamedTuple):
    """One row of /proc/PID/net/*, in words. None: that table does not say it."""
    proto: str                    # tcp tcp6 udp udp6 udplite udplite6 raw raw6 icmp icmp6 unix netlink packet
    state: str                    # the kernel's word: ESTABLISHED SYN_SENT ... LISTEN; UNCONN where nothing is connected
    local: str                    # 1.2.3.4:80, [::1]:80, a unix path, route:1234
    remote: str
    recv_q: object = None         # bytes (udp, raw: of memory, so more than was sent); of a listener: connections that wait
    send_q: object = None         # bytes not yet acknowledged by the peer
    inode: int = 0                # 0: no descriptor (not accepted yet, or closed)
    uid: object = None
    timer: object = None          # 0 none 1 retransmit 2 keepalive 3 time-wait 4 zero-window probe
    retrans: object = None        # retransmissions of the oldest unacknowledged segment
    rx_drops: object = None
    backlog: object = None        # of a listener: the most that may wait; only sock_diag knows
    peer_inode: object = None     # of a unix socket; only sock_diag knows
    path: str = ''                # unix: the name it is bound to; '@...' is abstract
    type: str = ''                # unix: stream dgram seqpacket
    probes: object = None         # tcp: window or keepalive probes without an answer
    timer_left_ticks: object = None


class NetTable(NamedTuple):
    sockets: dict                 # inode -> Socket
    nameless: list                # Sockets with inode 0


class Lock(NamedTuple):
    """One line of /proc/locks, or of a `lock:` line of fdinfo."""
    ordinal: int                  # a waiter repeats the ordinal of the lock it waits for
    type: str                     # POSIX (fcntl) FLOCK OFDLCK LEASE DELEG ACCESS
    mandatory: str                # ADVISORY MANDATORY; of a lease ACTIVE BREAKING BREAKER
    access: str                   # READ WRITE RW NONE UNLCK
    pid: int                      # the process that took it; -1 for OFD locks, 0 for one of another pid namespace
    dev: str                      # '254:0', decimal as in mountinfo; '' where the kernel printed <none>
    inode: int
    start: int                    # bytes
    end: int                      # bytes, LOCK_EOF for "to the end"
    blocked: bool                 # it waits; it does not hold


LOCK_EOF = (1 << 63) - 1          # the kernel's own OFFSET_MAX


class Mount(NamedTuple):
    id: int
    parent: int
    dev: str                      # '254:0'
    root: str
    mountpoint: str
    options: str
    fstype: str
    source: str
    super_options: str


class FdKind(NamedTuple):
    kind: str
    name: str                     # the path without ' (deleted)', or the name in the brackets
    inode: object                 # of sockets, pipes, namespaces; None elsewhere
    deleted: bool                 # by the suffix: a living file's name may end so too


class OtherEnd(NamedTuple):
    """Who has the other end of a pipe, FIFO or socket."""
    word: str                     # others self nobody unknown
    others: list                  # (pid, fd, target, comm, mode) of other processes
    own: list                     # descriptor numbers of the same process that are that end
    same_side: list               # other processes that share this end: (pid, fd, target, comm, mode)
    unseen: int                   # processes that could not be looked at: "nobody" does not cover them
    cut: bool                     # the scan ran out of time


class LockWait(NamedTuple):
    waiter: object                # the waiter's Lock, None where its line was not found
    holders: list                 # Locks
    queue: list                   # the other waiters' Locks


class UnixPeer(NamedTuple):
    word: str                     # peer, not-accepted, no-peer, unknown
    inode: object                 # peer's inode; of not-accepted: the listener's where it could be told
    path: str                     # its name, '' where it has none


class AcceptQueue(NamedTuple):
    word: str                     # full waiting empty unknown
    queued: object
    backlog: object               # None: unknown (no sock_diag)
    unaccepted: int               # connections done with the handshake that have no descriptor yet
    clients: int                  # on this host, still in SYN_SENT towards that port


class FdGroup(NamedTuple):
    kind: str
    target: str                   # path, remote address, 'pipe', '[eventfd]' ...
    count: int
    states: dict                  # socket state -> count; {} for what has no state
    fds: list                     # numbers, ascending
    distinct: int                 # how many different link targets that is


# ---------------------------------------------------------------- TABLES of this part

TCP_STATES = {
    b'01': 'ESTABLISHED', b'02': 'SYN_SENT', b'03': 'SYN_RECV', b'04': 'FIN_WAIT1', b'05': 'FIN_WAIT2',
    b'06': 'TIME_WAIT', b'07': 'CLOSE', b'08': 'CLOSE_WAIT', b'09': 'LAST_ACK', b'0A': 'LISTEN', b'0B': 'CLOSING',
    b'0C': 'NEW_SYN_RECV', b'0D': 'BOUND_INACTIVE',
}
TCP_TIMERS = {0: '', 1: 'retransmit', 2: 'keepalive', 3: 'time-wait', 4: 'zero-window probe'}
UNIX_TYPES = {1: 'stream', 2: 'dgram', 3: 'raw', 5: 'seqpacket'}
NETLINK_PROTOCOLS = ('route unused usersock firewall sock_diag nflog xfrm selinux iscsi audit fib_lookup connector netfilter '
                     'ip6_fw dnrtmsg kobject_uevent generic dm scsitransport ecryptfs rdma crypto smc').split()

# Filesystems whose server, other node or daemon may not answer: a read, stat or open there can wait for ever.
# fuse.NAME is any FUSE filesystem; fusectl is the kernel's own control folder and is none of them.
HANGING_FILESYSTEMS = frozenset(
    'nfs nfs4 cifs smb3 smbfs ncpfs ncp 9p ceph afs kafs coda glusterfs lustre gfs gfs2 ocfs2 beegfs orangefs pvfs2 gpfs mmfs '
    'panfs wekafs acfs vxfs davfs autofs fuse fuseblk virtiofs vboxsf vmhgfs prl_fs drvfs'.split())

EPOLL_EVENTS = (
    (0x1, 'EPOLLIN'), (0x2, 'EPOLLPRI'), (0x4, 'EPOLLOUT'), (0x8, 'EPOLLERR'), (0x10, 'EPOLLHUP'), (0x20, 'EPOLLNVAL'),
    (0x40, 'EPOLLRDNORM'), (0x80, 'EPOLLRDBAND'), (0x100, 'EPOLLWRNORM'), (0x200, 'EPOLLWRBAND'), (0x400, 'EPOLLMSG'),
    (0x2000, 'EPOLLRDHUP'), (0x8000000, 'EPOLL_URING_WAKE'), (0x10000000, 'EPOLLEXCLUSIVE'), (0x20000000, 'EPOLLWAKEUP'),
    (0x40000000, 'EPOLLONESHOT'), (0x80000000, 'EPOLLET'))
EPOLL_ALWAYS = 0x18               # the kernel adds ERR and HUP to every member: saying so tells nothing
EPOLL_PRIVATE = 0xf0000000        # how to report, not what to report: a member with no other bit is disarmed

INOTIFY_EVENTS = (
    (0x1, 'IN_ACCESS'), (0x2, 'IN_MODIFY'), (0x4, 'IN_ATTRIB'), (0x8, 'IN_CLOSE_WRITE'), (0x10, 'IN_CLOSE_NOWRITE'),
    (0x20, 'IN_OPEN'), (0x40, 'IN_MOVED_FROM'), (0x80, 'IN_MOVED_TO'), (0x100, 'IN_CREATE'), (0x200, 'IN_DELETE'),
    (0x400, 'IN_DELETE_SELF'), (0x800, 'IN_MOVE_SELF'))

CLOCKS = {0: 'REALTIME', 1: 'MONOTONIC', 7: 'BOOTTIME', 8: 'REALTIME_ALARM', 9: 'BOOTTIME_ALARM'}

# What stands in the link of an anonymous inode -> kind. First match wins; a stem, since some carry a number or a name.
ANON_KINDS = (
    ('eventpoll', 'eventpoll'), ('eventfd', 'eventfd'), ('timerfd', 'timerfd'), ('signalfd', 'signalfd'),
    ('inotify', 'inotify'), ('fanotify', 'fanotify'), ('io_uring', 'io_uring'), ('io-uring', 'io_uring'),
    ('userfaultfd', 'userfaultfd'), ('pidfd', 'pidfd'), ('bpf', 'bpf'), ('btf', 'bpf'), ('perf_event', 'perf_event'),
    ('kvm', 'kvm'), ('seccomp', 'seccomp'), ('landlock', 'landlock'), ('fscontext', 'fscontext'), ('aio', 'aio'),
    ('sync_file', 'sync_file'), ('dmabuf', 'dmabuf'), ('vfio', 'vfio'), ('secretmem', 'memfd'))

NAMESPACE_LINKS = frozenset('cgroup ipc mnt net pid pid_for_children time time_for_children user uts'.split())
TTY_LINK = re.compile(r'/dev/(?:tty|pts/|console$|ptmx$|hvc|ttyS|vcs|pty)')


# ---------------------------------------------------------------- FILES: /proc/PID/net/{tcp,udp,raw,...}
#   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
#   12: 0100007F:ECF2 0100007F:9661 01 0026B946:00000000 04:000009AE 00000000     0        0 9616 2 000000002d4de9e0 ...

INET_PROTOCOLS = frozenset('tcp tcp6 udp udp6 udplite udplite6 raw raw6 icmp icmp6'.split())


def whole_lines(data):
    """The lines of a table. The kernel ends every row with a newline, so a last line without one was cut off
    somewhere, perhaps in the middle of a number: it is left out."""
    lines = data.split(b'\n')
    lines.pop()
    return lines


def parse_net(proto, data, want=None, ports=None, pairs=None):
    """/proc/PID/net/PROTO -> NetTable.

    A busy host has 100,000 rows and a process needs ten: with `want` (inodes), `ports` (local or remote) or `pairs`
    ((local port, remote port)) only rows that match one of them are decoded; all None decodes everything. Ports and
    pairs are of the internet protocols only."""
    if proto in INET_PROTOCOLS:
        rows = inet_rows(proto, data, want, ports, pairs)
    else:
        reader = {'unix': unix_rows, 'netlink': netlink_rows, 'packet': packet_rows}.get(proto)
        rows = reader(data, want) if reader else ()
    table = NetTable({}, [])
    for row in rows:
        if row.inode:
            table.sockets.setdefault(row.inode, row)
        else:
            table.nameless.append(row)
    return table


def inet_rows(proto, data, want, ports, pairs):
    wanted = inet_filter(want, ports, pairs)
    address_bytes = 32 if proto.endswith('6') else 8
    for line in whole_lines(data):
        if wanted is not None and not wanted(line):
            continue
        try:
            yield inet_row(proto, line.split(), address_bytes)
        except (ValueError, IndexError):
            continue               # the heading, or a row that is no row


def inet_filter(want, ports, pairs):
    """A test on raw lines. Words are compared as bytes: nothing is decoded for a row that nobody asked for."""
    if want is None and ports is None and pairs is None:
        return None
    inodes = set(b'%d' % inode for inode in want or ())
    hex_ports = set(b'%04X' % port for port in ports or ())
    hex_pairs = set(b'%04X%04X' % pair for pair in pairs or ())
    if not hex_ports and not hex_pairs:
        def by_inode(line):
            words = line.split(None, 10)
            return len(words) > 9 and words[9] in inodes
        return by_inode

    def by_any(line):
        words = line.split(None, 10)
        if len(words) < 10:
            return False
        local, remote = words[1][-4:], words[2][-4:]
        return words[9] in inodes or local in hex_ports or remote in hex_ports or local + remote in hex_pairs
    return by_any


def inet_row(proto, words, address_bytes):
    """One row -> Socket; ValueError or IndexError where it is none. The word after the inode must be there: it
    proves that the inode is whole."""
    words[10]
    is_tcp = proto.startswith('tcp')
    state = TCP_STATES.get(words[3].upper(), 'state ' + text(words[3][:8]))
    if not is_tcp and state == 'CLOSE':
        state = 'UNCONN'
    send_q, recv_q = words[4].split(b':')
    timer, left = words[5].split(b':')
    if max(len(send_q), len(recv_q), len(timer), len(left), len(words[6]), len(words[7]), len(words[8]), len(words[9])) > 20:
        raise ValueError
    return Socket(
        proto, state, endpoint(words[1], address_bytes), endpoint(words[2], address_bytes),
        int(recv_q, 16), int(send_q, 16), int(words[9]), int(words[7]),
        int(timer, 16) if is_tcp else None, int(words[6], 16) if is_tcp else None,
        number(words[12]) if not is_tcp and len(words) > 12 else None,
        probes=int(words[8]) if is_tcp else None, timer_left_ticks=int(left, 16) if is_tcp else None)


def endpoint(word, address_bytes):
    """b'0100007F:AD23' -> '127.0.0.1:44323'; six: '[::1]:80'. Port 0 is '*', as ss has it.

    The kernel prints each 32-bit word of the address as a number, so its bytes stand in the order of the machine that
    printed them. All targets are little-endian: the bytes are turned round here, whatever machine reads them."""
    address, port = word.split(b':')
    if len(address) != address_bytes or len(port) != 4:
        raise ValueError
    raw = bytes.fromhex(address.decode('ascii'))
    port = str(int(port, 16) or '*')
    if address_bytes == 8:
        return '%d.%d.%d.%d:%s' % (raw[3], raw[2], raw[1], raw[0], port)
    raw = b''.join(raw[i:i + 4][::-1] for i in (0, 4, 8, 12))
    return '[%s]:%s' % (ipv6_text(raw), port)


def ipv6_text(raw):
    """16 bytes in network order -> the usual text: the first longest run of zero words (two or more) becomes '::', and
    ::ffff:a.b.c.d and ::a.b.c.d keep their IPv4 form, as inet_ntop writes them."""
    words = struct.unpack('>8H', raw)
    start, length = longest_zero_run(words)
    if length < 2:
        return ':'.join('%x' % word for word in words)
    if start == 0 and (length == 6 or (length == 5 and words[5] == 0xffff)):
        return '%s%d.%d.%d.%d' % (('::ffff:' if length == 5 else '::',) + tuple(raw[12:]))
    head = ':'.join('%x' % word for word in words[:start])
    tail = ':'.join('%x' % word for word in words[start + length:])
    return head + '::' + tail


def longest_zero_run(words):
    best, start = (0, 0), None
    for at, word in enumerate(tuple(words) + (1,)):
        if word == 0:
            start = at if start is None else start
        elif start is not None:
            if at - start > best[1]:
                best = (start, at - start)
            start = None
    return best


def split_endpoint(endpoint_text):
    """'[::1]:80' -> ('::1', 80); '*' as port is 0. An address that is IPv4 written as IPv6 comes back as the IPv4 it
    is, so that the two ends of one connection compare equal though one end's socket is an IPv6 one."""
    host, _, port = endpoint_text.rpartition(':')
    host = host.strip('[]')
    if host.startswith('::ffff:') and '.' in host:
        host = host[7:]
    return host, number(port) or 0


# ---------------------------------------------------------------- FILES: /proc/PID/net/unix
# Num       RefCount Protocol Flags    Type St Inode Path
# 000000009be479ae: 00000002 00000000 00010000 0001 01  9620 /tmp/waits.sock

UNIX_ROW = re.compile(br'\S{4,}: [0-9A-F]{8} [0-9A-F]{8} ([0-9A-F]{8}) ([0-9A-F]{4}) ([0-9A-F]{2}) +(\d{1,20})(?: (.*))?$',
                      re.DOTALL)
UNIX_LISTENS = 0x10000            # __SO_ACCEPTCON in Flags
UNIX_PATH_BYTES = 108


def unix_rows(data, want=None):
    """A path is printed raw and may hold newlines: a line that is no row continues the path of the row before it, up to
    the 108 bytes that a path can have. (A path may so be written to look like a row: sock_diag's name is exact, see add_diag.)"""
    inodes = None if want is None else set(b'%d' % inode for inode in want)
    row = None
    for line in whole_lines(data):
        match = UNIX_ROW.match(line)
        if not match:
            if row is not None and 0 < len(row.path) < UNIX_PATH_BYTES:
                longer = row.path + '\n' + text(line)
                row = row._replace(path=longer, local=longer)
            continue
        if row is not None:
            yield row
        row = None
        if inodes is None or match.group(4) in inodes:
            row = unix_row(*match.groups())
    if row is not None:
        yield row


def unix_row(flags, kind, state, inode, path):
    """St 01 unconnected, 03 connected; 02 and 04 have no descriptor: 02 waits to be accepted. The name of a connection
    that was accepted is its listener's."""
    path = text(path or b'')
    state = 'LISTEN' if int(flags, 16) & UNIX_LISTENS else {
        b'01': 'UNCONN', b'02': 'CONNECTING', b'03': 'ESTABLISHED', b'04': 'DISCONNECTING'}.get(state, text(state))
    kind = int(kind, 16)
    return Socket('unix', state, path, '', inode=int(inode), path=path, type=UNIX_TYPES.get(kind, 'type %d' % kind))


# ---------------------------------------------------------------- FILES: /proc/PID/net/netlink, /proc/PID/net/packet
# sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
# sk               RefCnt Type Proto  Iface R Rmem   User   Inode

def headed_rows(data):
    """Rows of a table under a one-word-a-column heading -> dicts of bytes. Kernels have added columns, never renamed them."""
    lines = whole_lines(data)
    names = [text(word) for word in lines[0].split()] if lines else []
    for line in lines[1:]:
        words = line.split()
        if len(words) == len(names):
            yield dict(zip(names, words))


def netlink_rows(data, want=None):
    for row in headed_rows(data):
        inode = number(row.get('Inode'))
        if inode is None or (want is not None and inode not in want):
            continue
        protocol = number(row.get('Eth'))
        known = protocol is not None and 0 <= protocol < len(NETLINK_PROTOCOLS)
        local = '%s:%s' % (NETLINK_PROTOCOLS[protocol] if known else protocol, text(row.get('Pid', b'?')))
        yield Socket('netlink', 'UNCONN', local, '', number(row.get('Rmem')), number(row.get('Wmem')), inode,
                     rx_drops=number(row.get('Drops')))


def packet_rows(data, want=None):
    for row in headed_rows(data):
        inode = number(row.get('Inode'))
        if inode is None or (want is not None and inode not in want):
            continue
        local = 'ethertype 0x%s, interface %s' % (text(row.get('Proto', b'?')), text(row.get('Iface', b'?')))
        yield Socket('packet', 'UNCONN', local, '', number(row.get('Rmem')), None, inode, number(row.get('User')))


# ---------------------------------------------------------------- FILES: /proc/PID/fdinfo/FD
# pos:	0
# flags:	02000002
# mnt_id:	14
# tfd:       16 events:       19 data:                0  pos:0 ino:258d sdev:c

def parse_fdinfo(data):
    """A plain dict. Always there: pos, flags, mnt_id, ino (None where not printed; ino is since 5.14). By type: epoll,
    eventfd_count, timer, inotify, fanotify, sigmask, Pid, NSpid, io_uring, userfault, locks, and in `other` the rest as text."""
    plain = PLAIN_FDINFO.match(data)
    if plain:                               # nine of ten, at a third of the cost
        pos, flags, mnt_id, ino = plain.groups()
        return {'pos': int(pos), 'flags': int(flags, 8), 'mnt_id': int(mnt_id), 'ino': int(ino) if ino else None, 'other': {}}
    info = {'pos': None, 'flags': None, 'mnt_id': None, 'ino': None, 'other': {}}
    for line in data.split(b'\n'):
        name, colon, value = line.partition(b':')
        name = name.strip()
        reader = FDINFO_LINES.get(name)
        if reader:
            reader(info, value, line)
        elif name.startswith(FDINFO_WATCHES):
            fdinfo_watch(info, line)
        elif line.startswith(b'  op=') and 'io_uring' in info:
            info['io_uring']['polls'] += 1
        elif colon and name and len(info['other']) < 64:
            info['other'].setdefault(text(name), text(value.strip()))
    finish_io_uring(info)
    return info


PLAIN_FDINFO = re.compile(br'pos:\t([0-9]{1,20})\nflags:\t([0-7]{1,20})\nmnt_id:\t([0-9]{1,20})\n(?:ino:\t([0-9]{1,20})\n)?\Z')
FDINFO_WATCHES = (b'inotify wd', b'fanotify ino', b'fanotify mnt_id', b'fanotify sdev', b'fanotify mnt')


def fdinfo_number(key, base=10):
    def put(info, value, line):
        info[key] = number(value.strip(), base)
    return put


def fdinfo_numbers(key):
    def put(info, value, line):
        info[key] = [n for n in map(number, value.split()) if n is not None]
    return put


def fdinfo_epoll(info, value, line):
    """The number of the descriptor is the one it had at EPOLL_CTL_ADD: a closed and reopened number is another file, so
    compare `ino` (hex in the file) with that of the descriptor."""
    fields = colon_fields(line)
    events, tfd = number(fields.get('events'), 16), number(fields.get('tfd'))
    if tfd is None:
        return
    member = {'tfd': tfd, 'events': events, 'ino': number(fields.get('ino'), 16),
              'dev': kernel_device(number(fields.get('sdev'), 16)), 'data': number(fields.get('data'), 16)}
    member['events_text'] = epoll_events_text(events)
    member['armed'] = None if events is None else bool(events & ~EPOLL_PRIVATE)
    info.setdefault('epoll', []).append(member)


def colon_fields(line):
    """b'tfd:  4 events:  19 ino:20cff' -> {'tfd': b'4', 'events': b'19', 'ino': b'20cff'}."""
    return {text(name): value for name, value in re.findall(br'([\w-]+):\s*([^\s:]+)', line[:512])}


def epoll_events_text(events):
    """0x80000019 -> 'EPOLLIN|EPOLLET'. No bit that asks for anything: '0 (disarmed)': EPOLLONESHOT fired and was not
    armed again, so this member will never be reported."""
    if events is None:
        return ''
    if not events & ~EPOLL_PRIVATE:
        return '0 (disarmed)'
    return bit_names(events & ~EPOLL_ALWAYS or events, EPOLL_EVENTS)


def bit_names(bits, table):
    names = [name for bit, name in table if bits & bit]
    rest = bits & ~sum(bit for bit, _ in table)
    return '|'.join(names + (['0x%x' % rest] if rest else [])) or '0'


def fdinfo_clock(info, value, line):
    clock = number(value.strip())
    info.setdefault('timer', {}).update(clockid=clock, clock=CLOCKS.get(clock, ''))


def fdinfo_timer(key):
    def put(info, value, line):
        seconds = re.match(br'\s*\((\d{1,19}), (\d{1,9})\)', value)
        info.setdefault('timer', {})[key] = int(seconds.group(1)) + int(seconds.group(2)) / 1e9 if seconds else None
    return put


def fdinfo_ticks(info, value, line):
    info.setdefault('timer', {})['ticks'] = number(value.strip())


def fdinfo_watch(info, line):
    """One inotify or fanotify mark: what is watched, by inode and device, and for which events."""
    words = line.split(None, 1)
    fields = colon_fields(words[1] if len(words) > 1 else b'')
    watch = {name: number(fields.get(name), 10 if name == 'wd' else 16) for name in ('wd', 'ino', 'sdev', 'mask')}
    watch['dev'] = kernel_device(watch.pop('sdev'))
    watch['mask_text'] = bit_names(watch['mask'], INOTIFY_EVENTS) if watch['mask'] is not None else ''
    info.setdefault(text(words[0]), []).append(watch)


def kernel_device(number_):
    """The kernel's own dev_t (sdev:fe00000): 12 bits major, 20 bits minor -> '254:0'. Not the encoding that stat() gives."""
    return '' if number_ is None else '%d:%d' % (number_ >> 20, number_ & 0xfffff)


def fdinfo_lock(info, value, line):
    lock = parse_lock_line(value)
    if lock:
        info.setdefault('locks', []).append(lock)


def fdinfo_userfault(info, value, line):
    info.setdefault('userfault', {})[text(line.partition(b':')[0])] = number(value.strip())


def fdinfo_uring(info, value, line):
    name = text(line.partition(b':')[0].strip())
    value = value.strip()
    base = 16 if value[:2] == b'0x' else 10
    info.setdefault('io_uring', {'polls': 0})[name] = number(value, base)


def finish_io_uring(info):
    """The ring counters are 32-bit and run on for ever: differences say how much is in the queues. `in_flight` is taken minus
    posted: right where every request posts one completion, None where that cannot be."""
    ring = info.get('io_uring')
    if ring is None:
        return
    for key, tail, head in (('sq_waiting', 'SqTail', 'SqHead'), ('cq_unread', 'CqTail', 'CqHead'),
                            ('in_flight', 'CachedSqHead', 'CachedCqTail')):
        after, before = ring.get(tail), ring.get(head)
        left = (after - before) & 0xffffffff if after is not None and before is not None else None
        ring[key] = left if left is not None and left < 1 << 20 else None


FDINFO_LINES = {
    b'pos': fdinfo_number('pos'), b'flags': fdinfo_number('flags', 8), b'mnt_id': fdinfo_number('mnt_id'),
    b'ino': fdinfo_number('ino'), b'tfd': fdinfo_epoll,
    b'eventfd-count': fdinfo_number('eventfd_count', 16), b'eventfd-id': fdinfo_number('eventfd_id'),
    b'eventfd-semaphore': fdinfo_number('eventfd_semaphore'),
    b'clockid': fdinfo_clock, b'ticks': fdinfo_ticks,
    b'it_value': fdinfo_timer('left_s'), b'it_interval': fdinfo_timer('interval_s'),
    b'sigmask': fdinfo_number('sigmask', 16), b'Pid': fdinfo_number('Pid'), b'NSpid': fdinfo_numbers('NSpid'),
    b'lock': fdinfo_lock, b'tty-index': fdinfo_number('tty_index'), b'scm_fds': fdinfo_number('scm_fds'),
    b'pending': fdinfo_userfault, b'total': fdinfo_userfault,
}
FDINFO_LINES.update((name.encode(), fdinfo_uring) for name in (
    'SqMask SqHead SqTail CachedSqHead CqMask CqHead CqTail CachedCqTail SQEs CQEs SqThread SqThreadCpu UserFiles UserBufs').split())


# ---------------------------------------------------------------- FILES: /proc/PID/fd/FD (the link)
# socket:[1234]   pipe:[77]   anon_inode:[eventpoll]   anon_inode:inotify   /var/log/app.log (deleted)   net:[4026531840]

BRACKET_LINK = re.compile(r'(\w+):\[(\d{1,20})\]$')


def fd_kind(target):
    """Link target -> FdKind. Kinds: file socket pipe tty device memfd shm ns mqueue dmabuf unknown, those of ANON_KINDS, and
    `anon` for any other. A folder or a FIFO is not to be told from a file by its link: see refine_kind."""
    if not target:
        return FdKind('unknown', '', None, False)
    match = BRACKET_LINK.match(target)
    if match:
        name, inode = match.group(1), int(match.group(2))
        kind = name if name in ('socket', 'pipe') else 'ns' if name in NAMESPACE_LINKS else 'unknown'
        return FdKind(kind, name, inode, False)
    if target.startswith('anon_inode:'):
        return anon_kind(target[len('anon_inode:'):])
    deleted = target.endswith(' (deleted)')
    path = target[:-len(' (deleted)')] if deleted else target
    return FdKind(path_kind(path, deleted), path, None, deleted)


def anon_kind(name):
    bare = name.strip('[]')
    for stem, kind in ANON_KINDS:
        if bare.startswith(stem):
            return FdKind(kind, bare, None, False)
    return FdKind('anon', bare, None, False)


def path_kind(path, deleted):
    if path.startswith('/memfd:') or (deleted and path == '/secretmem'):
        return 'memfd'
    if path.startswith('/dmabuf:'):
        return 'dmabuf'
    if path.startswith('/dev/shm/') or (deleted and path.startswith('/SYSV')):
        return 'shm'
    if path.startswith('/dev/mqueue/'):
        return 'mqueue'
    if TTY_LINK.match(path):
        return 'tty'
    if path.startswith('/dev/') and len(path) > 5:
        return 'device'
    return 'file' if path.startswith('/') else 'unknown'


O_DIRECTORY = {'x86_64': 0o200000, 'i386': 0o200000, 'aarch64': 0o40000, 'arm': 0o40000}


def refine_kind(kind, target, info, arch, mounts=None):
    """What the link does not say but fdinfo does: O_DIRECTORY (its bit differs by architecture) makes a folder. A message queue
    is on an mqueue mount, or, as the kernel's own one is listed nowhere, is a bare '/name' on no mount of the target's
    mountinfo. An O_RDONLY open of a folder without O_DIRECTORY, and a FIFO, stay 'file'."""
    if kind != 'file':
        return kind
    if info.get('flags') is not None and info['flags'] & O_DIRECTORY.get(arch, 0):
        return 'dir'
    if mounts and info.get('mnt_id') is not None:
        fstypes = [mount.fstype for mount in mounts if mount.id == info['mnt_id']]
        if fstypes == ['mqueue'] or (not fstypes and target.count('/') == 1):
            return 'mqueue'
    return kind


# ---------------------------------------------------------------- FILES: /proc/locks
# 1: FLOCK  ADVISORY  WRITE 10144 fe:00:2763151 0 EOF
# 1: -> FLOCK  ADVISORY  WRITE 10143 fe:00:2763151 0 EOF

def parse_locks(data):
    return [lock for lock in map(parse_lock_line, whole_lines(data)) if lock]


def parse_lock_line(line):
    """-> Lock or None. Devices are hex here and decimal in mountinfo: decimal comes out."""
    words = line.split()
    blocked = len(words) > 1 and words[1] == b'->'
    if blocked:
        del words[1]
    if len(words) < 8 or not words[0].endswith(b':'):
        return None
    place = words[5].split(b':')
    numbers = (number(words[0][:-1]), number(words[4]), number(place[-1]), number(words[6]),
               LOCK_EOF if words[7] == b'EOF' else number(words[7]))
    if None in numbers:
        return None
    ordinal, pid, inode, start, end = numbers
    return Lock(ordinal, text(words[1]), text(words[2]), text(words[3]), pid, lock_device(place), inode, start, end, blocked)


def lock_device(place):
    major, minor = (number(place[0], 16), number(place[1], 16)) if len(place) == 3 else (None, None)
    return '' if major is None or minor is None else '%d:%d' % (major, minor)


# ---------------------------------------------------------------- FILES: /proc/PID/mountinfo
# 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue

def parse_mountinfo(data):
    return [mount for mount in map(mount_line, data.split(b'\n')) if mount]


def mount_line(line):
    """Fields are parted by one space each and have their own spaces escaped, so an empty one (a mount with no source)
    still counts; between the sixth and the '-' stands any number of tags."""
    left, dash, right = line.partition(b' - ')
    words, tail = left.split(b' '), right.split(b' ')
    if not dash or len(words) < 6 or len(tail) < 3:
        return None
    ident, parent = number(words[0]), number(words[1])
    if ident is None or parent is None:
        return None
    return Mount(ident, parent, text(words[2]), unescape_octal(words[3]), unescape_octal(words[4]), text(words[5]),
                 text(tail[0]), unescape_octal(tail[1]), text(tail[2]))


def unescape_octal(word):
    """Space, tab, newline and backslash are written \\040 \\011 \\012 \\134."""
    return text(re.sub(br'\\([0-3][0-7]{2})', lambda match: bytes([int(match.group(1), 8)]), word))


def mount_of(path, mounts, mnt_id=None):
    """The Mount that a path is on. `mnt_id` from fdinfo is exact; without it the longest mount point that is a parent of the
    path, the latest of equals (it hides the others)."""
    best = None
    for mount in mounts:
        if mnt_id is not None and mount.id == mnt_id:
            return mount
        point = mount.mountpoint.rstrip('/')
        if path == point or path.startswith(point + '/'):
            if best is None or len(point) >= len(best.mountpoint.rstrip('/')):
                best = mount
    return best


def can_hang(fstype):
    """Whether a file there may wait for a server, another node or a daemon that never answers."""
    return fstype.startswith('fuse.') or fstype in HANGING_FILESYSTEMS


# ---------------------------------------------------------------- ASKING the kernel: sock_diag over netlink
# What ss asks. No rights are needed. The answer is of the asker's own network namespace: the caller checks that the target's
# ns/net is the same. Every function here may run in the guarded child and gives plain values; None: it could not be asked.

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY = 4, 20
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE, SOCK_DIAG_LEN = 2, 3, 16
DIAG_LIMIT = 200000               # answers of one dump: a bound, not a wish
DIAG_SINGLE = 64                  # so many unix sockets are asked for one by one (each walks the table); more, by one dump
DIAG_CONNECTIONS = 2000
TCP_LISTEN, ANY_STATE = 1 << 10, 0xffffffff
UDIAG_SHOW = 0x1 | 0x2 | 0x4 | 0x10   # name, vfs, peer, queue lengths
UDIAG_SHOW_ICONS = 0x8            # of a listener: who waits to be accepted


class DiagRefused(Exception):
    """The kernel has no such table, or does not let us ask."""


class Diag:
    """One netlink socket, one deadline for all that is asked over it."""

    def __init__(self, timeout_s):
        import socket
        self.deadline = time.monotonic() + timeout_s
        self.sequence = 0
        self.socket = socket.socket(getattr(socket, 'AF_NETLINK', 16), socket.SOCK_RAW, NETLINK_SOCK_DIAG)

    def close(self):
        self.socket.close()

    def ask(self, body, dump=False):
        """Payloads of all answers: [] where there is no such socket (ENOENT of a single question)."""
        self.sequence += 1
        flags = NLM_F_REQUEST | (NLM_F_DUMP if dump else 0)
        header = struct.pack('=IHHII', SOCK_DIAG_LEN + len(body), SOCK_DIAG_BY_FAMILY, flags, self.sequence, 0)
        self.socket.sendto(header + body, (0, 0))
        answers = []
        while len(answers) < DIAG_LIMIT:
            for kind, payload in self.messages():
                if kind == NLMSG_DONE:
                    return answers
                if kind == NLMSG_ERROR:
                    return self.refused(payload, dump)
                answers.append(payload)
            if answers and not dump:
                return answers
        raise DiagRefused('too many sockets')

    def messages(self):
        """The messages of one datagram that are from the kernel (port 0) and answer the last question."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise DiagRefused('timeout')
        self.socket.settimeout(left)
        data, sender = self.socket.recvfrom(1 << 17)
        if sender[0] != 0:
            return
        at = 0
        while at + SOCK_DIAG_LEN <= len(data):
            length, kind, _, sequence, _ = struct.unpack_from('=IHHII', data, at)
            if length < SOCK_DIAG_LEN or at + length > len(data):
                return
            if sequence == self.sequence and kind in (NLMSG_DONE, NLMSG_ERROR, SOCK_DIAG_BY_FAMILY):
                yield kind, data[at + SOCK_DIAG_LEN:at + length]
            at += (length + 3) & ~3

    @staticmethod
    def refused(payload, dump):
        code = -struct.unpack_from('=i', payload)[0] if len(payload) >= 4 else errno.EINVAL
        if code in (0, errno.ENOENT) and not dump:
            return []
        raise DiagRefused(errno.errorcode.get(code, str(code)))


def diag_attributes(payload, at):
    """{attribute number: bytes} of what follows the fixed part."""
    found = {}
    while at + 4 <= len(payload):
        length, kind = struct.unpack_from('=HH', payload, at)
        if length < 4 or at + length > len(payload):
            break
        found[kind & 0x3fff] = payload[at + 4:at + length]
        at += (length + 3) & ~3
    return found


def with_diag(timeout_s, work):
    """work(Diag) -> its result, or None where netlink is refused, missing, silent or answers nonsense."""
    diag = None
    try:
        diag = Diag(timeout_s)
        return work(diag)
    except (OSError, DiagRefused, struct.error, ImportError, ValueError):
        return None
    finally:
        if diag is not None:
            diag.close()


def ask_unix(inodes=None, timeout_s=1.0):
    """{inode: {type, state, peer_inode, rqueue, wqueue, name, shutdown, waiting}} for these unix sockets, or all (None).

    peer_inode None: no peer; 0: the peer has no descriptor (not accepted). Of a listener rqueue is how many wait and wqueue
    the most that may (full: rqueue > wqueue), and `waiting` has the clients' inodes. Listeners come along where a client
    that was asked for waits. None also where not one of those asked for is known: then it is the table that is missing."""
    if inodes is not None:
        inodes = [inode for inode in inodes if 0 < inode < 1 << 32]
    return with_diag(timeout_s, lambda diag: unix_answers(diag, inodes))


def unix_answers(diag, inodes):
    if inodes is None or len(inodes) > DIAG_SINGLE:
        wanted = None if inodes is None else set(inodes)
        everything = unix_dump(diag, ANY_STATE)
        known = {inode: row for inode, row in everything.items()
                 if wanted is None or inode in wanted or wanted.intersection(row['waiting'])}
        return known
    known = {}
    for inode in inodes:
        for payload in diag.ask(unix_question(ANY_STATE, inode)):
            known.update(unix_answer(payload))
    if inodes and not known:
        return None
    if any(row['peer_inode'] == 0 for row in known.values()):
        known.update((inode, row) for inode, row in unix_dump(diag, TCP_LISTEN).items()
                     if set(inodes).intersection(row['waiting']))
    return known


def unix_question(states, inode=0):
    return struct.pack('=BBHIII8s', 1, 0, 0, states, inode, UDIAG_SHOW | UDIAG_SHOW_ICONS, b'\xff' * 8)


def unix_dump(diag, states):
    rows = {}
    for payload in diag.ask(unix_question(states), dump=True):
        rows.update(unix_answer(payload))
    return rows


def unix_answer(payload):
    """One unix_diag_msg with its attributes: 0 name, 2 peer, 3 who waits, 4 queue lengths, 6 shutdown."""
    _, kind, state, _, inode = struct.unpack_from('=BBBBI', payload)
    found = diag_attributes(payload, 16)
    name = found.get(0, b'')
    if name[:1] == b'\0':
        name = b'@' + name[1:].replace(b'\0', b'@')     # as net/unix prints it
    peer, queues, waiting = found.get(2, b''), found.get(4, b''), found.get(3, b'')
    rqueue, wqueue = struct.unpack('=II', queues) if len(queues) == 8 else (None, None)
    return {inode: {
        'type': UNIX_TYPES.get(kind, str(kind)),
        'state': {1: 'ESTABLISHED', 7: 'UNCONN', 10: 'LISTEN'}.get(state, str(state)),
        'peer_inode': struct.unpack('=I', peer)[0] if len(peer) == 4 else None,
        'rqueue': rqueue, 'wqueue': wqueue, 'name': text(name.rstrip(b'\0')),
        'shutdown': found[6][0] if found.get(6) else None,
        'waiting': list(struct.unpack('=%dI' % (len(waiting) // 4), waiting[:len(waiting) // 4 * 4]))}}


def ask_unix_listeners(names, timeout_s=1.0):
    """{inode: as ask_unix} of the unix listeners with one of these names: net/unix does not say how many wait."""
    def work(diag):
        return {inode: row for inode, row in unix_dump(diag, TCP_LISTEN).items() if row['name'] in names and row['state'] == 'LISTEN'}
    return with_diag(timeout_s, work)


def ask_listeners(timeout_s=1.0):
    """{inode: (connections that wait, the most that may)} of every TCP listener. Full: the first is the greater."""
    def work(diag):
        rows = {}
        for family in (2, 10):
            for payload in diag.ask(inet_question(family, TCP_LISTEN), dump=True):
                row = inet_answer(payload)
                rows[row['inode']] = (row['rqueue'], row['wqueue'])
        return rows
    return with_diag(timeout_s, work)


def ask_tcp(sockets, timeout_s=1.0):
    """sockets: (inode, local, remote) as Socket has them -> {inode: {last_data_recv_ms, last_data_sent_ms, ...}}.

    One question a connection, by its addresses: a hash look-up of some 20 us, where a dump would walk the host's whole
    table. The first DIAG_CONNECTIONS are asked for; a link-local address needs its interface and is not found."""
    def work(diag):
        rows = {}
        for inode, local, remote in list(sockets)[:DIAG_CONNECTIONS]:
            question = tcp_question(local, remote)
            for payload in diag.ask(question) if question else ():
                row = inet_answer(payload)
                if row['inode'] == inode:              # a look-up that misses falls back to the port's listener
                    rows[inode] = row
        return rows or None
    return with_diag(timeout_s, work)


def inet_question(family, states, sockid=b'\0' * 40):
    """inet_diag_req_v2 for TCP, with TCP_INFO (extension 2, so bit 1), any cookie."""
    return struct.pack('=BBBBI', family, 6, 1 << 1, 0, states) + sockid + b'\xff' * 8


def tcp_question(local, remote):
    """The question about one connection, None where these are no addresses."""
    import socket
    family, packed = 10 if local.startswith('[') else 2, []
    for end in (local, remote):
        host, _, port = end.rpartition(':')
        try:
            address = socket.inet_pton(socket.AF_INET6 if family == 10 else socket.AF_INET, host.strip('[]'))
        except (OSError, ValueError):
            return None
        packed.append((struct.pack('>H', number(port) or 0), address.ljust(16, b'\0')))
    (sport, source), (dport, destination) = packed
    return inet_question(family, ANY_STATE, sport + dport + source + destination + b'\0' * 4)


TCP_INFO_FIELDS = (               # name, offset in struct tcp_info, format: it grew at its end, so what is past the answer is None
    ('retransmits', 2, 'B'), ('probes', 3, 'B'), ('backoff', 4, 'B'), ('rto_us', 8, 'I'), ('unacked', 24, 'I'), ('lost', 32, 'I'),
    ('retrans', 36, 'I'), ('last_data_sent_ms', 44, 'I'), ('last_data_recv_ms', 52, 'I'), ('last_ack_recv_ms', 56, 'I'),
    ('rtt_us', 68, 'I'), ('snd_cwnd', 80, 'I'), ('total_retrans', 100, 'I'), ('bytes_acked', 120, 'Q'),
    ('bytes_received', 128, 'Q'), ('notsent_bytes', 144, 'I'), ('data_segs_in', 152, 'I'), ('data_segs_out', 156, 'I'),
    ('busy_time_us', 168, 'Q'), ('rwnd_limited_us', 176, 'Q'), ('bytes_sent', 200, 'Q'), ('snd_wnd', 228, 'I'))


def inet_answer(payload):
    """One inet_diag_msg -> dict. last_data_recv_ms counts from the handshake while nothing has come at all
    (data_segs_in 0); last_data_sent_ms is None while nothing was sent: older kernels then give the time since boot."""
    _, state, timer, retrans = struct.unpack_from('=BBBB', payload)
    rqueue, wqueue, uid, inode = struct.unpack_from('=IIII', payload, 56)
    found = diag_attributes(payload, 72)
    row = {'state': TCP_STATES.get(b'%02X' % state, str(state)), 'timer': timer, 'rqueue': rqueue, 'wqueue': wqueue,
           'uid': uid, 'inode': inode}
    info = found.get(2, b'')
    for name, at, kind in TCP_INFO_FIELDS:
        whole = at + struct.calcsize(kind) <= len(info)
        row[name] = struct.unpack_from('=' + kind, info, at)[0] if whole else None
    if row['data_segs_out'] == 0:
        row['last_data_sent_ms'] = None
    row['shutdown'] = found[8][0] if found.get(8) else None
    return row


# ---------------------------------------------------------------- ASKING: who else has it open
# Bytes are compared, not str: what Python makes of a name depends on the locale, and on 3.6 with LC_ALL=C it is not UTF-8.

PF_KTHREAD = 0x200000


class Scan:
    """All descriptors of all visible processes, within a time. Counts what it could not see: 'nobody' must not cover that."""

    def __init__(self, budget_s, skip_pids, near=None, proc=b'/proc'):
        self.deadline = time.monotonic() + budget_s
        self.skip = set(skip_pids) | {os.getpid()}
        self.near = near
        self.proc = proc
        self.looked = self.unseen = 0
        self.refused = set()
        self.cut = self.hidden = False

    def pids(self):
        """Nearest numbers first: whoever has the other end is mostly a relative, born just before or after."""
        try:
            names = os.listdir(self.proc)
        except OSError:
            names = []
        pids = sorted(int(name) for name in names if name.isdigit())
        self.hidden = not pids or pids[0] != 1       # process 1 is never absent, only hidden (hidepid)
        if self.near is not None:
            pids.sort(key=lambda pid: abs(pid - self.near))
        return [pid for pid in pids if pid not in self.skip]

    def links(self):
        """Yields (pid, folder, descriptor, target), the last three bytes."""
        for pid in self.pids():
            if time.monotonic() > self.deadline:
                self.cut = True
                return
            folder, names = self.folder(pid)
            for found in self.folder_links(pid, folder, names):
                yield found

    def folder(self, pid):
        """The fd folder and its names, or those of a live thread where the main thread has ended (its own is empty then)."""
        folder = b'%s/%d/fd/' % (self.proc, pid)
        try:
            names = os.listdir(folder)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM) and self.may_hold(pid):
                self.refuse(pid)
            return folder, []
        if not names and self.may_hold(pid):
            folder, names = self.thread_folder(pid)
        self.looked += 1
        return folder, names

    def thread_folder(self, pid):
        tasks = b'%s/%d/task/' % (self.proc, pid)
        try:
            for tid in os.listdir(tasks):
                folder = tasks + tid + b'/fd/'
                names = os.listdir(folder)
                if names:
                    return folder, names
        except OSError:
            pass
        return tasks, []

    def may_hold(self, pid):
        """Kernel threads and true zombies have no descriptors: not to be able to look at them hides nothing."""
        try:
            with open(b'%s/%d/stat' % (self.proc, pid), 'rb') as file:
                words = file.read(4096).rpartition(b')')[2].split()
        except OSError as error:
            return error.errno not in (errno.ENOENT, errno.ESRCH)
        if len(words) < 18:
            return True
        flags, threads = number(words[6]), number(words[17])
        return not (flags or 0) & PF_KTHREAD and (words[0] != b'Z' or (threads or 0) > 1)

    def folder_links(self, pid, path, names):
        """EACCES of a link though the folder listed: one unseen process, however many links."""
        readlink, refused = os.readlink, False
        for at, name in enumerate(names):
            if at & 511 == 511 and time.monotonic() > self.deadline:
                self.cut = True
                return
            try:
                yield pid, path, name, readlink(path + name)
            except OSError as error:
                refused = refused or error.errno in (errno.EACCES, errno.EPERM)
        if refused:
            self.refuse(pid)
            self.looked -= 1

    def refuse(self, pid):
        """One that may have what is looked for, and would not show it."""
        self.unseen += 1
        self.refused.add(pid)

    def report(self, holders):
        return {'holders': holders, 'looked': self.looked, 'unseen': self.unseen, 'cut': self.cut, 'hidden': self.hidden}


def pid_list(skip_pid):
    return [skip_pid] if isinstance(skip_pid, int) else list(skip_pid or ())


def find_holders(wanted, budget_s=1.0, skip_pid=(), near=None):
    """Who has one of these link targets open: {'holders': [(pid, fd, target, comm, mode)], 'looked', 'unseen', 'cut', 'hidden'}.

    `wanted`: targets ('pipe:[12]', 'socket:[34]', '/run/fifo'), or a dict {target: inode or None}; for a path the inode
    in fdinfo must then agree, where it is printed. `skip_pid`: one pid or several; the caller's own are no evidence.
    `near`: look at the pids nearest to that one first. Links are read, never followed. `hidden`: hidepid keeps processes from us
    that cannot even be counted. mode: r, w, rw, or '' (O_PATH), by the link's own permission bits."""
    inodes = wanted if isinstance(wanted, dict) else {}
    targets = {target.encode('utf-8', 'surrogateescape'): inodes.get(target) for target in wanted}
    scan = Scan(budget_s, pid_list(skip_pid), near)
    holders = []
    for pid, folder, name, target in scan.links():
        if target in targets and inode_agrees(folder, name, targets[target]):
            holders.append((pid, int(name), text(target), comm_of(pid), link_mode(folder + name)))
    return scan.report(sorted(holders))


def find_lockers(files, budget_s=1.0, skip_pid=(), near=None):
    """Whose open file description has a lock on one of these: as find_holders, with the Lock as a plain tuple for the mode.

    `files`: [(path, inode)]. It finds what /proc/locks has no pid for (OFD), or a flock whose taker passed it on and ended. Any
    descriptor whose last path component agrees is looked at: the same file may be mounted elsewhere. Only fdinfo is read.
    `near_seen`: the process `near` (who took the lock) showed its descriptors, or is gone: is it no holder, it has the lock no more."""
    inodes = set(inode for _, inode in files)
    names = set(os.path.basename(path.encode('utf-8', 'surrogateescape')) for path, _ in files)
    scan = Scan(budget_s, pid_list(skip_pid), near)
    holders = []
    for pid, folder, name, target in scan.links():
        if target.rpartition(b'/')[2] in names:
            for lock in read_fdinfo(folder, name).get('locks', ()):
                if lock.inode in inodes:
                    holders.append((pid, int(name), text(target), comm_of(pid), tuple(lock)))
    return dict(scan.report(sorted(holders)), near_seen=near is not None and near not in scan.refused | scan.skip and not scan.hidden and not scan.cut)


def read_small(path):
    """The file's bytes, b'' where it cannot be read (the process may end at any moment)."""
    try:
        with open(path, 'rb') as file:
            return file.read(1 << 16)
    except OSError:
        return b''


def read_fdinfo(folder, name):
    return parse_fdinfo(read_small(folder[:-1] + b'info/' + name))


def inode_agrees(folder, name, inode):
    if inode is None:
        return True
    found = read_fdinfo(folder, name)['ino']
    return found is None or found == inode


def comm_of(pid):
    return text(read_small(b'/proc/%d/comm' % pid)[:-1])


def link_mode(path):
    """lstat of the link itself: safe, it asks no filesystem but proc."""
    try:
        bits = os.lstat(path).st_mode
    except OSError:
        return ''
    return ('r' if bits & 0o400 else '') + ('w' if bits & 0o200 else '')


def snapshot_holders(reader, wanted, skip_pid=()):
    """find_holders from what a snapshot has: same result, the mode from fdinfo (a copied link has lost its bits). No time
    limit: a replay says the same each time."""
    skip, wanted = set(pid_list(skip_pid)), set(wanted)
    pids = sorted(int(name) for name in reader.names('proc') or () if name.isdigit())
    holders, looked, unseen = [], 0, 0
    for pid in pids:
        if pid in skip:
            continue
        folder = snapshot_folder(reader, pid)
        names = reader.names(folder + '/fd')
        if names is None:
            unseen += 0 if nothing_to_hold(reader.read('proc/%d/stat' % pid)) else 1
            continue
        looked += 1
        for name in names:
            target = reader.link('%s/fd/%s' % (folder, name))
            if target in wanted and name.isdigit():
                holders.append(snapshot_holder(reader, pid, folder, name, target))
    return {'holders': sorted(holders), 'looked': looked, 'unseen': unseen, 'cut': False, 'hidden': pids[:1] != [1]}


def nothing_to_hold(stat):
    """Whether this stat is of a kernel thread or a zombie. An unreadable one hides something."""
    words = (stat or b'').rpartition(b')')[2].split()
    return len(words) > 17 and bool((number(words[6]) or 0) & PF_KTHREAD or (words[0] == b'Z' and words[17] == b'1'))


def snapshot_folder(reader, pid):
    """The process's folder, or that of a thread which still has descriptors where the main thread has ended."""
    folder = 'proc/%d' % pid
    if reader.names(folder + '/fd') == []:
        for tid in reader.names(folder + '/task') or ():
            if reader.names('%s/task/%s/fd' % (folder, tid)):
                return '%s/task/%s' % (folder, tid)
    return folder


def snapshot_holder(reader, pid, folder, name, target):
    info = parse_fdinfo(reader.read('%s/fdinfo/%s' % (folder, name)) or b'')
    comm = reader.read('proc/%d/comm' % pid) or b''
    return pid, int(name), target, text(comm[:-1] if comm.endswith(b'\n') else comm), side_of(info['flags'])


# ---------------------------------------------------------------- LINKS: joins over what was read

def side_of(flags):
    """Open flags -> 'r', 'w', 'rw'; '' where unknown or O_PATH (010000000 on every architecture here)."""
    if flags is None or flags & 0o10000000:
        return ''
    return {0: 'r', 1: 'w', 2: 'rw'}.get(flags & 3, '')


def wanted_link(inode, kind='socket'):
    return '%s:[%d]' % (kind, inode)


def pipe_other_end(fd, fds, found, pid):
    """Who can end the wait on this descriptor of a pipe or FIFO: OtherEnd.

    fd: the Fd waited on; fds: all of the process; found: find_holders' answer (None: not scanned); pid: the process. A reader
    waits for those that hold a write end, a writer for the readers. Word 'self': only the process itself has the other end,
    so nobody can ever feed it and EOF never comes. 'nobody': no one has it: a read would have returned, so look at `unseen`."""
    side = side_of(fd.flags)
    opposite = {'r': 'w', 'w': 'r'}.get(side, 'rw')
    own = [other.fd for other in fds if other.target == fd.target and shares(side_of(other.flags), opposite)
           and not (other.fd == fd.fd and side != 'rw')]
    if found is None:
        return OtherEnd('unknown', [], own, [], 0, True)
    others = [holder for holder in found['holders'] if holder[0] != pid and holder[2] == fd.target]
    ends = [holder for holder in others if shares(holder[4], opposite)]
    ending = set(holder[0] for holder in ends)
    same = [holder for holder in others if holder[0] not in ending]
    word = 'others' if ends else 'self' if own else 'nobody'
    return OtherEnd(word, ends, own, same, found['unseen'], found['cut'])


def shares(mode, opposite):
    """Whether a descriptor of that mode is (also) the opposite end; one of unknown mode may be."""
    return not mode or any(letter in mode for letter in opposite)


def socket_other_end(peer_inode, found, pid):
    """Who has the peer's socket open. Word 'nobody': no visible process, so look at `unseen`."""
    if found is None:
        return OtherEnd('unknown', [], [], [], 0, True)
    link = wanted_link(peer_inode)
    held = [holder for holder in found['holders'] if holder[2] == link]
    others = [holder for holder in held if holder[0] != pid]
    own = [holder[1] for holder in held if holder[0] == pid]
    return OtherEnd('others' if others else 'self' if own else 'nobody', others, own, [], found['unseen'], found['cut'])


def connection_key(socket, mirrored=False):
    """What the two ends of a connection agree on, whichever of tcp and tcp6 each stands in."""
    ends = split_endpoint(socket.local), split_endpoint(socket.remote)
    return (socket.proto.rstrip('6'),) + (ends[::-1] if mirrored else ends)


def mirror_index(rows):
    """{key: Socket} over all rows, nameless ones too: mirrors are found in it by connection_key(socket, True)."""
    return {connection_key(row): row for row in rows if row.proto in INET_PROTOCOLS}


def mirror_pairs(sockets):
    """The (local port, remote port) pairs of the other ends: parse_net(..., pairs=) with them decodes little else."""
    return set((split_endpoint(row.remote)[1], split_endpoint(row.local)[1]) for row in sockets
               if row.proto.startswith('tcp') and row.remote)


def tcp_peer_on_host(socket, rows):
    """The row of the other end where it is in the same network namespace, or None. rows: a mirror_index, or any rows.

    An answer with inode 0 that is ESTABLISHED is a connection which the server has not accepted; one in FIN_WAIT has been closed
    by its process. No answer for a loopback address: the other end is gone, or in another namespace."""
    index = rows if isinstance(rows, dict) else mirror_index(rows)
    return index.get(connection_key(socket, mirrored=True))


def listener_of(endpoint_text, rows):
    """The listeners that connections to this address reach: those on the very address, else those on any."""
    host, port = split_endpoint(endpoint_text)
    listeners = [row for row in rows if row.state == 'LISTEN' and row.proto.startswith('tcp')
                 and split_endpoint(row.local)[1] == port]
    exact = [row for row in listeners if split_endpoint(row.local)[0] == host]
    return exact or [row for row in listeners if any_address_serves(row, host)]


def listener_behind(row, rows, index=None):
    """The listener of this host that has not accepted a TCP connection yet, None where there is none or
    several share the port. A connection with itself for the other end's address, or a loopback one, is of this host.
    index: the mirror_index of the rows, where it was made before."""
    if row.state == 'SYN_SENT':
        host = split_endpoint(row.remote)[0]
        here = host.startswith('127.') or host in ('::1', split_endpoint(row.local)[0])
    else:
        mirror = tcp_peer_on_host(row, index or rows)
        here = mirror is not None and not mirror.inode and mirror.state in ('ESTABLISHED', 'CLOSE_WAIT', 'SYN_RECV')
    found = listener_of(row.remote, rows) if here else []
    return found[0] if len({listener.inode for listener in found}) == 1 else None


def any_address_serves(row, host):
    listens = split_endpoint(row.local)[0]
    return listens == '::' or (listens == '0.0.0.0' and ':' not in host)


def unix_peer(inode, diag, table=None):
    """The other end of a unix socket: UnixPeer. diag: ask_unix's answer. Only sock_diag knows it: without one 'unknown'."""
    row = (diag or {}).get(inode)
    if row is None:
        return UnixPeer('unknown', None, '')
    if row['peer_inode'] is None:
        return UnixPeer('no-peer', None, '')
    if row['peer_inode'] == 0:
        for listener, other in diag.items():
            if inode in other['waiting']:
                return UnixPeer('not-accepted', listener, other['name'])
        return UnixPeer('not-accepted', None, '')
    peer = diag.get(row['peer_inode']) or {}
    known = table.sockets.get(row['peer_inode']) if table else None
    return UnixPeer('peer', row['peer_inode'], peer.get('name') or (known.path if known else ''))


def add_diag(sockets, unix=None, listeners=None):
    """{inode: Socket} with what only sock_diag knows filled in."""
    filled = dict(sockets)
    for inode, (queued, backlog) in (listeners or {}).items():
        if inode in filled and filled[inode].state == 'LISTEN':
            filled[inode] = filled[inode]._replace(recv_q=queued, backlog=backlog)
    for inode, row in (unix or {}).items():
        if inode in filled:
            listens = row['state'] == 'LISTEN'
            name = row['name'] or filled[inode].path     # exact, where a newline in a path of net/unix may mislead
            filled[inode] = filled[inode]._replace(
                path=name, local=name, recv_q=row['rqueue'], send_q=None if listens else row['wqueue'],
                backlog=row['wqueue'] if listens else None, peer_inode=row['peer_inode'])
    return filled


def lock_holder(locks, dev, inode, pid):
    """Who holds the file lock that this process waits for: LockWait, or None where /proc/locks tells of no such wait.

    The waiter's line repeats the holder's ordinal. dev ('254:0') and inode narrow it; dev None where the filesystem shows another
    number than stat (btrfs, overlay). The waiter's own line may be missing (another pid namespace): then holders are
    those of the inode. A holder of pid -1 is an OFD lock and one that has ended passed its flock on: find_lockers tells."""
    def same_file(lock):
        return (inode is None or lock.inode == inode) and (not dev or not lock.dev or lock.dev == dev)
    waits = [lock for lock in locks if lock.blocked and same_file(lock) and
             (lock.pid == pid or (lock.pid == -1 and lock.type == 'OFDLCK' and inode is not None))]
    if waits:
        ordinal = waits[0].ordinal
        return LockWait(waits[0], [lock for lock in locks if lock.ordinal == ordinal and not lock.blocked],
                        [lock for lock in locks if lock.ordinal == ordinal and lock.blocked and lock is not waits[0]])
    holders = [lock for lock in locks if not lock.blocked and same_file(lock)] if inode is not None else []
    queue = [lock for lock in locks if lock.blocked and same_file(lock)] if inode is not None else []
    return LockWait(None, holders, queue) if holders else None


# ---------------------------------------------------------------- LINKS: what is wrong with a connection

TCP_TROUBLE = {                   # word of tcp_trouble -> what it means
    'peer does not read': 'the peer has closed its window: its kernel answers, its process does not read',
    'network does not answer': 'what was sent is repeated and not acknowledged: the peer host or the path to it is gone',
    'connect is not answered': 'SYNs are repeated: a firewall drops them, the host is gone, or its accept queue is full',
    'connecting': 'the first SYN has not been answered yet',
    'peer closed': 'the peer has closed the connection and this process has not',
    'unread input': 'data waits in the socket and this process does not read it',
    'silent': 'nothing is under way in either direction: the peer owes an answer, or this end a question',
    'sending': 'data is under way and nothing says that it will not arrive',
    'stalled': 'the same data has waited to be sent for the whole watch',
    'closing': 'this end has closed',
    'shut down': 'this end has shut down its sending side, and the peer has not',
    'listening': 'it is a listener',
    'unknown': 'the row does not say',
}
CLOSING_STATES = frozenset('FIN_WAIT1 FIN_WAIT2 TIME_WAIT LAST_ACK CLOSING CLOSE'.split())


def tcp_trouble(first, later=None):
    """A word of TCP_TROUBLE for a connection seen once, or twice (later). A blocked sender has a large send queue either way:
    the timer tells a peer that does not read (4, the window is shut, probes are answered) from a network that does not answer
    (1, retransmissions rise). Unanswered probes are the network's fault again: the kernel sets that count to 0 at
    each answer, so 1 may be under way and 2 is not."""
    now = later or first
    if now.state == 'LISTEN':
        return 'listening'
    if now.state in ('SYN_SENT', 'SYN_RECV'):
        return 'connect is not answered' if now.retrans and now.state == 'SYN_SENT' else 'connecting'
    if now.recv_q is None or now.send_q is None:
        return 'unknown'
    if now.send_q or now.timer in (1, 2, 4):
        word = send_trouble(first, now)
        if word:
            return word
    if now.state == 'CLOSE_WAIT':
        return 'peer closed'
    if now.state in CLOSING_STATES:
        return 'shut down' if now.inode and now.state in ('FIN_WAIT1', 'FIN_WAIT2') else 'closing'    # a descriptor still has it
    if now.recv_q and first.recv_q and now.recv_q >= first.recv_q:
        return 'unread input'
    if now.send_q:
        return 'stalled' if later and now.send_q == first.send_q and now.timer != 1 else 'sending'
    return 'silent'


def send_trouble(first, now):
    if (now.probes or 0) >= 2 or (now.timer == 1 and (now.retrans or 0) >= 2):
        return 'network does not answer'
    if now.timer == 1 and (now.retrans or 0) > (first.retrans or 0):
        return 'network does not answer'
    if now.timer == 4 and now.send_q:
        return 'peer does not read'
    return ''


def local_port(row):
    return split_endpoint(row.local)[1] if row.proto.startswith('tcp') else None


def accept_queue(socket, rows, backlog=None, later=None):
    """How a listener's queue stands: AcceptQueue. Full is queued > backlog (the kernel lets one more in).

    net/tcp has no maximum. Without sock_diag a full queue shows in its victims: clients on this host whose SYN to that port is
    repeated; of a unix listener the rows that wait have its path. later: the same listener at the end of the watch; a
    queue that shrank meanwhile is being served: 'waiting'."""
    if socket.proto == 'unix':
        unaccepted = sum(1 for row in rows if row.state == 'CONNECTING' and row.path == socket.path and not row.inode)
        clients = 0
    else:
        port = split_endpoint(socket.local)[1]
        unaccepted = sum(1 for row in rows if row.state == 'ESTABLISHED' and not row.inode and local_port(row) == port)
        clients = sum(1 for row in rows if row.state == 'SYN_SENT' and row.retrans and split_endpoint(row.remote)[1] == port)
    limit = socket.backlog if backlog is None else backlog
    queued = unaccepted if socket.recv_q is None and socket.proto == 'unix' else socket.recv_q
    if queued is None:
        word = 'unknown'
    elif queued == 0:
        word = 'empty'
    elif later is not None and later.recv_q is not None and later.recv_q < queued:
        word = 'waiting'
    elif (limit is not None and queued > limit) or (limit is None and clients):
        word = 'full'
    else:
        word = 'waiting'
    return AcceptQueue(word, queued, limit, unaccepted, clients)


# ---------------------------------------------------------------- LINKS: descriptors by target

def fd_groups(fds):
    """FdGroups, the largest first. Sockets go by protocol and remote address (a listener by its own), whatever their state;
    files by path, and those that are alone on theirs by folder; anonymous ones and pipes by kind."""
    classes = collections.OrderedDict()
    for fd in fds:
        classes.setdefault(fd_class(fd), []).append(fd)
    folded = collections.OrderedDict()
    for (kind, target), members in classes.items():
        alone = kind in ('file', 'shm') and len(set(fd.fd for fd in members)) == 1 and '/' in target
        name = target.rpartition('/')[0] + '/*' if alone else target
        folded.setdefault((kind, name), []).extend(members)
    groups = [fd_group(kind, name, members) for (kind, name), members in folded.items()]
    return sorted(groups, key=lambda group: (-group.count, group.kind, group.target))


def fd_class(fd):
    kind = fd.kind or fd_kind(fd.target).kind
    if kind == 'socket':
        return kind, socket_class(fd.socket)
    if kind in ('pipe', 'unknown') or fd.target.startswith('anon_inode:'):
        return kind, kind
    if kind == 'file':                      # as fd_kind names it, without its twenty comparisons
        return kind, fd.target[:-len(' (deleted)')] if fd.target.endswith(' (deleted)') else fd.target
    return kind, fd_kind(fd.target).name


def socket_class(socket):
    if socket is None:
        return 'in no table'         # never connected, or of another network namespace, or of a family without a table
    if socket.proto == 'unix':
        return 'unix ' + (socket.path or '(no name)')
    if socket.state == 'LISTEN' or not split_endpoint(socket.remote or '')[1]:
        return '%s %s' % (socket.proto, socket.local)
    return '%s to %s' % (socket.proto, socket.remote)


def fd_group(kind, name, members):
    states = collections.Counter(fd.socket.state for fd in members if fd.socket is not None)
    distinct = set(fd.target for fd in members)
    if name.endswith('/*') and len(distinct) == 1:
        name = fd_kind(members[0].target).name
    return FdGroup(kind, name, len(members), dict(states), sorted(fd.fd for fd in members), len(distinct))


def fd_counts(fds):
    """{kind: how many}, the largest first."""
    counts = collections.Counter(fd.kind or fd_kind(fd.target).kind for fd in fds)
    return collections.OrderedDict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def close_wait_groups(fds):
    """FdGroups of connections that the peer closed and this process did not: by remote address, the largest first."""
    return fd_groups([fd for fd in fds if fd.socket is not None and fd.socket.state == 'CLOSE_WAIT'])


# ROOM HOST ==================================================================
# The host and the scheduler: one parser a file, as in FILES, and small words about numbers.


def lines_of(data):
    """The lines of a file that the kernel ends with newlines; foreign line ends (\\r, \\x85) are not ends here."""
    return text(data).split('\n')


def decimal(word):
    """A float from '12.50'; None for anything else, for inf and nan, and for absurd lengths."""
    try:
        value = float(word) if len(word) <= 40 else None
    except (TypeError, ValueError):
        return None
    return value if value is not None and abs(value) < 1e300 else None


def parse_flat(data):
    """'nr_throttled 12' or 'rchar: 12' a line -> {name: int}: cpu.stat, memory.events, memory.stat, vmstat, PID/io ..."""
    values = {}
    for line in lines_of(data):
        words = line.replace(':', ' ', 1).split()
        value = number(words[1]) if len(words) >= 2 else None
        if value is not None:
            values.setdefault(words[0], value)
    return values


class CgroupLine(NamedTuple):
    """/proc/PID/cgroup: '4:cpu,cpuacct:/path' (version 1), '1:name=systemd:/path', '0::/path' (version 2)."""
    hierarchy: int
    controllers: tuple
    path: str
    deleted: bool = False


def parse_cgroup(data):
    """The path may hold ':' and spaces; ' (deleted)' says that the group was removed while a zombie stays in it.

    The path is relative to the cgroup namespace of the one who reads, '/../x' when it lies outside of that.
    """
    found = []
    for line in lines_of(data):
        words = line.split(':', 2)
        hierarchy = number(words[0])
        if len(words) == 3 and hierarchy is not None and words[2].startswith('/'):
            gone = words[2].endswith(' (deleted)')
            path = words[2][:-len(' (deleted)')] if gone else words[2]
            found.append(CgroupLine(hierarchy, tuple(c for c in words[1].split(',') if c), path, gone))
    return found


class Limit(NamedTuple):
    """One rlimit; soft and hard are ints or 'unlimited'; None was not readable."""
    soft: object
    hard: object
    units: str


LIMIT_LINE = re.compile(r'(Max .*?)\s{2,}(\S+)\s+(\S+)\s*(\S*)\s*$')


def parse_limits(data):
    """'Max open files            1024                 4096                 files     ' -> {'Max open files': Limit}."""
    def value(word):
        return word if word == 'unlimited' else number(word)
    limits = {}
    for line in lines_of(data):
        m = LIMIT_LINE.match(line[:200])
        if m:
            limits[m.group(1)] = Limit(value(m.group(2)), value(m.group(3)), m.group(4))
    return limits


def parse_io(data):
    """'rchar: 277399' ... -> {name: int}: rchar wchar syscr syscw (calls), read_bytes write_bytes (the disk's)."""
    return parse_flat(data)


SCHED_LINE = re.compile(r'([\w.>()\-]+)\s*:\s*(-?\d+(?:\.\d+)?)\s*$')


def parse_sched(data):
    """'se.exec_start    :   4022.926800' -> {name: int or float (ms)}; what is before the line of dashes is the comm.

    Names moved: 'se.wait_sum' (2.6.32), 'se.statistics.wait_sum' (to 5.16), 'wait_sum' (since). All are kept under the
    newest form besides their own, so that a caller asks for one. A comm with a newline cannot put in a line.
    """
    whole = text(data)
    cut = whole.find('\n' + '-' * 20)
    values = {}
    for line in whole[cut + 1:].split('\n') if cut >= 0 else ():
        m = SCHED_LINE.match(line[:200])
        value = (decimal if '.' in m.group(2) else number)(m.group(2)) if m else None
        if value is not None:
            values[m.group(1)] = value
            values.setdefault(m.group(1).replace('se.statistics.', '').replace('se.', '', 1), value)
    return values


class Schedstat(NamedTuple):
    """/proc/PID/schedstat, ns and a count. All three are 0 where the kernel does not account."""
    run_ns: int
    delay_ns: int
    timeslices: int


def parse_schedstat(data):
    """'1490035088 285740432 320': time on a CPU, time runnable but not on one, times put on one."""
    words = [number(w) for w in text(data).split()[:3]]
    return Schedstat(*words) if len(words) == 3 and None not in words else None


SMAPS_KEYS = ('Rss', 'Pss', 'Pss_Anon', 'Pss_File', 'Pss_Shmem', 'Shared_Clean', 'Shared_Dirty', 'Private_Clean',
              'Private_Dirty', 'Referenced', 'Anonymous', 'LazyFree', 'AnonHugePages', 'Shared_Hugetlb',
              'Private_Hugetlb', 'Swap', 'SwapPss', 'Locked')
SMAPS_LINE = re.compile(('^(%s): +([0-9]+) kB$' % '|'.join(SMAPS_KEYS)).encode(), re.MULTILINE)


def smaps_totals(chunks):
    """Sums of smaps or smaps_rollup in kB, from an iterable of bytes of any size, in constant memory.

    A mapping's name stands on its header line, after the address, so no name can look like a figure.
    """
    totals, tail = {}, b''
    for chunk in chunks:
        whole, newline, tail = (tail + chunk).rpartition(b'\n')
        for key, value in SMAPS_LINE.findall(whole):
            if len(value) <= 20:
                totals[key] = totals.get(key, 0) + int(value)
    for key, value in SMAPS_LINE.findall(tail):
        if len(value) <= 20:
            totals[key] = totals.get(key, 0) + int(value)
    return {text(key): value for key, value in totals.items()}


def parse_smaps_rollup(data):
    """The totals of a process, kB (4.14 and later; the same as the sums over smaps)."""
    return smaps_totals([data])


class Loadavg(NamedTuple):
    """/proc/loadavg: averages over 1, 5, 15 minutes; tasks (threads) runnable now and in all; the last PID given."""
    avg1: float
    avg5: float
    avg15: float
    runnable: int
    total: int
    last_pid: int


def parse_loadavg(data):
    """'3.12 0.76 0.26 5/173 219'."""
    words = text(data).split()
    if len(words) < 4:
        return None
    runnable, _, total = words[3].partition('/')
    return Loadavg(decimal(words[0]), decimal(words[1]), decimal(words[2]), number(runnable), number(total),
                   number(words[4]) if len(words) > 4 else None)


MEMINFO_LINE = re.compile(r'([\w()]+):\s*(\d+)')


def parse_meminfo(data):
    """'MemTotal:        1004612 kB' -> {'MemTotal': kB}; HugePages_* are counts. No MemAvailable before 3.14."""
    values = {}
    for line in lines_of(data):
        m = MEMINFO_LINE.match(line[:100])
        if m and number(m.group(2)) is not None:
            values.setdefault(m.group(1), number(m.group(2)))
    return values


def parse_uptime(data):
    """'36.81 4.43' -> (seconds since boot, idle seconds summed over CPUs); None where unreadable."""
    words = [decimal(w) for w in text(data).split()[:2]]
    return tuple(words + [None] * (2 - len(words)))


CPU_TICKS = ('user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal', 'guest', 'guest_nice')


def parse_host_stat(data):
    """/proc/stat -> {'cpu': {name: ticks}, 'cpus': count online, 'ctxt', 'btime', 'processes' (forks since boot),
    'procs_running', 'procs_blocked' (waiting for disk: not every D), 'intr', 'softirq' (totals)}."""
    values = {'cpu': {}, 'cpus': 0}
    for line in lines_of(data):
        words = line[:400].split()
        if not words:
            continue
        if words[0] == 'cpu':
            values['cpu'] = {n: number(w) for n, w in zip(CPU_TICKS, words[1:]) if number(w) is not None}
        elif re.match(r'cpu\d+$', words[0]):
            values['cpus'] += 1
        elif len(words) > 1 and number(words[1]) is not None:
            values.setdefault(words[0], number(words[1]))
    return values


def parse_vmstat(data):
    """'pswpin 0' a line -> {name: int}; pages and events since boot."""
    return parse_flat(data)


def parse_pressure(data):
    """'some avg10=53.18 avg60=34.98 avg300=10.01 total=33004364' -> {'some': {'avg10': %, ..., 'total': us}, 'full': ...}.

    The file exists and yet fails with EOPNOTSUPP where PSI is compiled in but off (psi=0): that is a gap.
    """
    values = {}
    for line in lines_of(data):
        kind, _, rest = line[:200].partition(' ')
        if kind in ('some', 'full'):
            pairs = [w.partition('=') for w in rest.split()]
            values[kind] = {k: number(v) if k == 'total' else decimal(v) for k, _, v in pairs}
    return values


# 'CPU implementer' and 'CPU part' of ARM, whose cpuinfo has no model name on 64 bits: those that servers and boards have.
ARM_MAKERS = {0x41: 'ARM', 0x42: 'Broadcom', 0x43: 'Cavium', 0x46: 'Fujitsu', 0x48: 'HiSilicon', 0x4e: 'NVIDIA', 0x50: 'APM',
              0x51: 'Qualcomm', 0x53: 'Samsung', 0x61: 'Apple', 0x6d: 'Microsoft', 0xc0: 'Ampere'}
ARM_PARTS = {(0x41, 0xd03): 'Cortex-A53', (0x41, 0xd04): 'Cortex-A35', (0x41, 0xd05): 'Cortex-A55', (0x41, 0xd07): 'Cortex-A57',
             (0x41, 0xd08): 'Cortex-A72', (0x41, 0xd09): 'Cortex-A73', (0x41, 0xd0b): 'Cortex-A76', (0x41, 0xd0c): 'Neoverse-N1',
             (0x41, 0xd40): 'Neoverse-V1', (0x41, 0xd49): 'Neoverse-N2', (0x41, 0xd4f): 'Neoverse-V2', (0x41, 0xc07): 'Cortex-A7',
             (0x43, 0x0af): 'ThunderX2', (0x46, 0x001): 'A64FX', (0x48, 0xd01): 'Kunpeng-920', (0xc0, 0xac3): 'Ampere-1'}


def arm_name(fields):
    """A name for the implementer and part numbers, the raw numbers where the tables have none."""
    maker, part = number(fields.get('CPU implementer', ''), 16), number(fields.get('CPU part', ''), 16)
    if maker is None or part is None:
        return None
    return '%s %s' % (ARM_MAKERS.get(maker, 'implementer 0x%02x' % maker), ARM_PARTS.get((maker, part), 'part 0x%03x' % part))


def parse_cpuinfo(data):
    """-> {'model': text or None, 'count': processors listed}: x86 'model name', ARM numbers, POWER 'cpu', s390, RISC-V 'uarch'."""
    fields, count = {}, 0
    for line in lines_of(data):
        key, colon, value = line[:4000].partition(':')
        key = key.strip()
        count += 1 if colon and re.match(r'processor( \d+)?$', key) else 0
        if colon:
            fields.setdefault(key, value.strip())
    named = [fields[k] for k in ('model name', 'cpu model', 'Processor', 'cpu', 'uarch', 'vendor_id') if fields.get(k)]
    if not (fields.get('model name') or fields.get('cpu model')) and arm_name(fields):
        named.insert(0, arm_name(fields))
    return {'model': ' '.join(named[0].split())[:200] if named else None, 'count': count}


def parse_version(data):
    """'Linux version 6.1.0-50 (builder) (gcc ...) #1 SMP ...' -> {'release', 'text'}."""
    line = lines_of(data)[0]
    m = re.match(r'Linux version (\S{1,200})', line)
    return {'release': m.group(1) if m else None, 'text': line}


class Interrupt(NamedTuple):
    """One line of /proc/interrupts or softirqs: total over the CPUs, and the text behind the counts."""
    name: str
    total: int
    what: str


def parse_interrupts(data):
    """The header names the CPUs online; 'ERR:' and 'MIS:' have one count whatever their number."""
    lines = lines_of(data)
    cpus = len(lines[0].split())
    found = []
    for line in lines[1:]:
        name, colon, rest = line.strip().partition(':')
        words = rest.split(None, cpus)
        counts = 0
        while counts < len(words) and counts < cpus and words[counts].isdigit() and len(words[counts]) <= 20:
            counts += 1
        if colon and counts:
            found.append(Interrupt(name, sum(int(w) for w in words[:counts]), ' '.join(' '.join(words[counts:]).split())))
    return found


def parse_softirqs(data):
    """'      NET_RX:        505        593': the same form, with no text behind."""
    return parse_interrupts(data)


def parse_sockstat(data):
    """'TCP: inuse 16 orphan 0 tw 2 alloc 1 mem 173' -> {'TCP': {'inuse': 16, ...}}; mem is in pages."""
    values = {}
    for line in lines_of(data):
        key, colon, rest = line[:400].partition(':')
        words = rest.split()
        if colon:
            values[key] = {k: number(v) for k, v in zip(words[::2], words[1::2]) if number(v) is not None}
    return values


class Swap(NamedTuple):
    """One line of /proc/swaps."""
    filename: str
    type: str
    size_kB: int
    used_kB: int
    priority: int


def parse_swaps(data):
    """'/dev/sda2  partition  2097148  1024  -2'; a space in the name is written \\040."""
    found = []
    for line in lines_of(data)[1:]:
        words = line.split()
        if len(words) == 5 and None not in [number(w) for w in words[2:]]:
            found.append(Swap(re.sub(r'\\([0-7]{3})', lambda m: chr(int(m.group(1), 8) & 0xff), words[0]), words[1],
                              number(words[2]), number(words[3]), number(words[4])))
    return found


def cpu_list_count(words):
    """'0-3,8' -> 5; None where it is no such list."""
    total = 0
    for part in words.strip().split(','):
        m = re.match(r'(\d{1,6})(?:-(\d{1,6}))?$', part)
        if not m:
            return None
        total += int(m.group(2) or m.group(1)) - int(m.group(1)) + 1
    return total


TCP_STATE_CODES = {'01': 'ESTABLISHED', '02': 'SYN_SENT', '03': 'SYN_RECV', '04': 'FIN_WAIT1', '05': 'FIN_WAIT2', '06': 'TIME_WAIT',
              '07': 'CLOSE', '08': 'CLOSE_WAIT', '09': 'LAST_ACK', '0A': 'LISTEN', '0B': 'CLOSING', '0C': 'NEW_SYN_RECV'}


def tcp_rows(data):
    """Rows of net/tcp and net/tcp6 without decoding: (local, remote, state, tx_queue, rx_queue); the host may have 100,000."""
    for line in lines_of(data)[1:]:
        words = line[:300].split(None, 5)
        tx, colon, rx = words[4].partition(':') if len(words) >= 5 else ('', '', '')
        tx, rx = number(tx, 16), number(rx, 16)
        if colon and tx is not None and rx is not None:
            yield words[1], words[2], words[3].upper(), tx, rx


def tcp_end(word):
    """'0100007F:AD23' -> '127.0.0.1:44323', and the four words of an IPv6 address; the word itself where it is neither."""
    import socket
    address, _, port = word.partition(':')
    try:
        raw = bytes.fromhex(address)
        raw = b''.join(raw[i:i + 4][::-1] for i in range(0, len(raw), 4))
        name = socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
        return '%s:%d' % (name if len(raw) == 4 else '[%s]' % name, int(port, 16))
    except (ValueError, OSError):
        return word


def bytes_text(count):
    """1536 -> '1.5 KiB'; None -> '?'; 'max' as it is."""
    if not isinstance(count, (int, float)):
        return '?' if count is None else str(count)
    for unit in ('B', 'KiB', 'MiB', 'GiB', 'TiB'):
        if abs(count) < 1024 or unit == 'TiB':
            return '%d B' % count if unit == 'B' else '%.1f %s' % (count, unit)
        count /= 1024.0


def part_percent(part, whole):
    """100 * part / whole, or None where that says nothing."""
    ok = isinstance(part, (int, float)) and isinstance(whole, (int, float)) and whole > 0
    return 100.0 * part / whole if ok else None


def grown(later, first):
    """How much a counter rose between two looks; None when one is not known, or when it fell (another object now)."""
    return later - first if later is not None and first is not None and later >= first else None


def source_name(path):
    """A virtual path as evidence names it: without the leading proc/."""
    return path[5:] if path.startswith('proc/') else path


def namespace_number(link):
    """'pid:[4026531836]' -> 4026531836."""
    m = re.search(r':\[(\d{1,20})\]$', link or '')
    return int(m.group(1)) if m else None


# Numbers that the kernel gives its first namespaces (mnt and net have fixed ones only since 6.18 or so).
FIRST_NAMESPACES = {'cgroup': 4026531835, 'ipc': 4026531839, 'pid': 4026531836, 'time': 4026531834, 'user': 4026531837, 'uts': 4026531838}


# ROOM CGROUPS =================================================================
# Control groups: where the files are (through the target's own view), what they say, and the rules about them.
# To add a control file: a name in CGROUP_FILES; a rule: CGROUP_RULES.

# What is read of a group, by controller; those with a star move and are read again by the second look.
CGROUP_FILES = {
    'cpu': ('cpu.stat*', 'cpu.cfs_quota_us', 'cpu.cfs_period_us', 'cpu.shares', 'cpu.rt_runtime_us', 'cpu.rt_period_us'),
    'cpuacct': ('cpuacct.usage*',),
    'memory': ('memory.usage_in_bytes*', 'memory.limit_in_bytes', 'memory.memsw.usage_in_bytes*', 'memory.memsw.limit_in_bytes',
               'memory.failcnt*', 'memory.memsw.failcnt*', 'memory.oom_control*', 'memory.stat*',
               'memory.kmem.usage_in_bytes', 'memory.kmem.limit_in_bytes', 'memory.kmem.failcnt*'),
    'pids': ('pids.current*', 'pids.max', 'pids.events*'),
    'freezer': ('freezer.state*', 'freezer.self_freezing*', 'freezer.parent_freezing*'),
    'cpuset': ('cpuset.cpus', 'cpuset.effective_cpus', 'cpuset.mems'),
    'blkio': ('blkio.throttle.read_bps_device', 'blkio.throttle.write_bps_device', 'blkio.throttle.read_iops_device',
              'blkio.throttle.write_iops_device'),
    'unified': ('cpu.stat*', 'cpu.max', 'cpu.weight', 'cpu.idle', 'cpu.pressure*', 'memory.pressure*', 'io.pressure*',
                'irq.pressure*', 'memory.current*', 'memory.max', 'memory.high', 'memory.swap.current*', 'memory.swap.max',
                'memory.events*', 'memory.events.local*', 'memory.stat*', 'memory.oom.group', 'pids.current*', 'pids.max',
                'pids.events*', 'cgroup.freeze*', 'cgroup.events*', 'cgroup.type', 'cpuset.cpus', 'cpuset.cpus.effective',
                'io.max'),
}
MOVING_FILES = frozenset(name[:-1] for names in CGROUP_FILES.values() for name in names if name.endswith('*'))
MOST_LEVELS = 32


def cgroup_mount_for(line, mounts):
    """The mounts that show the hierarchy of one line of /proc/PID/cgroup; the newest mount of a point hides the older."""
    if line.hierarchy == 0 and not line.controllers:
        return [m for m in reversed(mounts) if m.fstype == 'cgroup2']
    return [m for m in reversed(mounts)
            if m.fstype == 'cgroup' and set(line.controllers) & set(m.super_options.split(','))]


def below_root(path, root):
    """The part of a group's path that lies under a mount's root, '' for the root itself; None when it is outside.

    Both are relative to the reader's cgroup namespace, so '/docker/ID' under '/docker/ID' is ''. A path with '..' left
    over is never joined: it would walk out of the mount into another folder.
    """
    root = root.rstrip('/')
    rest = path[len(root):] if path == root or path.startswith(root + '/') or not root else None
    if rest is None or '..' in rest.split('/'):
        return None
    return rest.rstrip('/')


def cgroup_paths(lines, own_mounts, target_mounts, target_root):
    """For each line of /proc/PID/cgroup that matters: version, path, and the places where its control files may be.

    Places are (folder, part below it, via), best first: the reader's own mounts ('own'), the mounts of the target seen through
    its root ('target'), and where neither has a cgroup mount at all, the usual folders ('usual').
    """
    found = []
    for line in lines:
        wanted = [c for c in line.controllers if c in CGROUP_FILES] if line.controllers else ['unified']
        if not wanted or (not line.controllers and line.hierarchy):
            continue
        places = []
        for mounts, prefix, via in ((own_mounts, '', 'own'), (target_mounts, target_root, 'target')):
            for m in cgroup_mount_for(line, mounts or ()):
                rest = below_root(line.path, m.root)
                if rest is not None:
                    places.append((prefix + m.mountpoint.lstrip('/'), rest, via))
        if not own_mounts and below_root(line.path, '/') is not None:
            places += [(folder, below_root(line.path, '/'), 'usual') for folder in usual_folders(line)]
        found.append({'controllers': wanted, 'version': 1 if line.controllers else 2, 'path': line.path,
                      'deleted': line.deleted, 'places': places})
    return found


def usual_folders(line):
    """Where distributions mount a hierarchy, for a reader that has no mountinfo (a bare copy of /proc and /sys)."""
    base = 'sys/fs/cgroup'
    if not line.controllers:
        return [base, base + '/unified']
    joined = [','.join(line.controllers), ','.join(reversed(line.controllers))]
    return [base + '/' + name for name in joined + list(line.controllers)]


def level_folders(place):
    """The folders from the group itself up to the mount's root: (path below the root, folder); at most MOST_LEVELS, leaf first."""
    folder, rest, _ = place
    levels = []
    while len(levels) < MOST_LEVELS:
        levels.append((rest or '/', folder + rest))
        if not rest:
            break
        rest = rest.rpartition('/')[0]
    return levels


def read_level(reader, folder, wanted, cache):
    """(names in the folder or None, {file name: text} of its control files). Asked for by listing, so that an absent file is no gap."""
    key = (folder, wanted)
    if key not in cache:
        names, files = reader.names(folder), {}
        for name in sorted(wanted & set(names or ())):
            data = reader.read(folder + '/' + name, 1 << 16)
            if data is not None:
                files[name] = text(data)
        cache[key] = (names, files)
    return cache[key]


def collect_group(reader, group, only, in_namespace, cache):
    """Read one group and every group above it, from the first place that can be listed."""
    wanted = frozenset(n.rstrip('*') for c in group['controllers'] for n in CGROUP_FILES[c])
    wanted = wanted & only if only is not None else wanted
    for place in group['places'] if not group['deleted'] else ():
        if not read_level(reader, place[0] + place[1], wanted, cache)[0]:
            continue
        levels = []
        for path, folder in level_folders(place):
            names, files = read_level(reader, folder, wanted, cache)
            levels.append({'path': path, 'dir': folder, 'files': files, 'listed': names is not None, 'is_leaf': not levels})
        return dict(group, via=place[2], levels=levels, hidden_above=in_namespace or hidden_above(reader, group, place, names))
    return dict(group, via=None, levels=[], hidden_above=None)


def hidden_above(reader, group, place, top_names):
    """Are there groups above the topmost that was read? True, False, or None (cannot be told: version 1 in a snapshot).

    Version 2's real root has no cgroup.type; a mount whose root is not '/' shows a part only.
    """
    if place[1].count('/') >= MOST_LEVELS or group['path'].rstrip('/') != place[1] or group['path'].startswith('/..'):
        return True
    if group['version'] == 2:
        return 'cgroup.type' in (top_names or ())
    return False if reader.live else None


def reader_in_namespace(reader):
    """Does the reader itself sit in a cgroup namespace, so that paths begin in the middle? No namespaces before 4.6: False."""
    link = reader.link('proc/self/ns/cgroup') if reader.live else None
    return namespace_number(link) not in (None, FIRST_NAMESPACES['cgroup'])


def collect_cgroup(reader, pid, tid=None, only=None, cache=None):
    """First look at the control groups of a process (or of one thread: those of version 1 may differ) -> plain dict.

    only: the names of control files that are wanted, all by default; cache: a dict kept between calls, so that a scan of thousands of processes
    reads each group once.
    """
    cache = {} if cache is None else cache
    if 'own' not in cache:
        own = reader.read('proc/self/mountinfo') if reader.live else reader.read('proc/1/mountinfo') or reader.read('proc/self/mountinfo')
        cache['own'], cache['in'] = parse_mountinfo(own or b''), reader_in_namespace(reader)
    base = 'proc/%d' % pid + ('/task/%d' % tid if tid else '')
    data = reader.read(base + '/cgroup')
    lines = parse_cgroup(data) if data is not None else []
    container = container_of([line.path for line in lines])
    target = parse_mountinfo(reader.read('proc/%d/mountinfo' % pid) or b'') if only is None else []
    if not (container and container['runtime']):
        container = container_of_mounts(target) or container
    groups = cgroup_paths(lines, cache['own'] or (target if not reader.live else []), target, 'proc/%d/root/' % pid)
    return {'pid': pid, 'source': source_name(base + '/cgroup'), 'readable': data is not None, 'container': container,
            'lines': [[line.hierarchy, list(line.controllers), line.path, line.deleted] for line in lines],
            'groups': [collect_group(reader, g, only, cache['in'], cache) for g in groups]}


def collect_cgroup_later(reader, first, files=None):
    """Second look: the files that move, of every level of the first -> {'files': {virtual path: text}}.

    files: those of other processes' second look, not read again. A file that is not there (a snapshot without it) is left out, and so unknown: it
    must never be answered with the first look's text, which would say that nothing moved.
    """
    files = {} if files is None else files
    for group in first['groups']:
        for level in group['levels']:
            for name in sorted(MOVING_FILES & set(level['files'])):
                path = level['dir'] + '/' + name
                data = reader.read(path, 1 << 16) if path not in files else None
                if data is not None:
                    files[path] = text(data)
    return {'files': files}


# Which container a path belongs to. Rows: runtime, what its name looks like in a cgroup path; the innermost, which is the last, counts.
CONTAINER_PATHS = [(runtime, re.compile(pattern + r'(?=/|$)')) for runtime, pattern in (
    ('cri-o', r'/crio-(?P<id>[0-9a-f]{32,64})(?:\.scope)?'),
    ('containerd', r'[/:]cri-containerd[-:](?P<id>[0-9a-f]{32,64})(?:\.scope)?'),
    ('docker', r'/docker-(?P<id>[0-9a-f]{32,64})\.scope'),
    ('docker', r'/docker/(?P<id>[0-9a-f]{32,64})'),
    ('podman', r'/libpod-(?:payload-)?(?P<id>[0-9a-f]{32,64})(?:\.scope)?'),
    ('podman', r'/libpod_parent/(?:libpod-)?(?P<id>[0-9a-f]{32,64})'),
    ('nerdctl', r'/nerdctl-(?P<id>[0-9a-f]{32,64})\.scope'),
    ('ecs', r'/ecs/(?:[^/]+/){0,2}(?P<id>[0-9a-f]{32,64}(?:-\d+)?)'),
    ('kubernetes', r'/kubepods[^/]*/(?:[^/]+/){0,2}(?P<id>[0-9a-f]{64})'),
    ('kubernetes', r'/kubepods[^/]*/(?:[^/]+/){0,2}[^/]*(?P<id>)pod[0-9a-f_-]{32,36}(?:\.slice)?'),
    ('lxc', r'/lxc(?:\.payload)?[./](?P<id>[^/]+)'),
    ('systemd-nspawn', r'/machine\.slice/(?:systemd-nspawn@|machine-)(?P<id>[^/]+?)\.(?:service|scope)'),
    ('containerd', r'^/(?:default|moby|k8s\.io)/(?P<id>[0-9a-f]{32,64})'),
)]
POD = re.compile(r'pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?(?=/|$)')
UNIT = re.compile(r'/([^/]+\.(?:service|scope))(?=/|$)')
SLICE = re.compile(r'/([^/]+\.slice)(?=/|$)')


def innermost(pattern, path):
    """The last match of a pattern in a path, None without one."""
    found = None
    for found in pattern.finditer(path[:4096]):
        pass
    return found


def container_of(paths):
    """The container that cgroup paths name -> {'runtime', 'id', 'pod', 'unit', 'slice'} (None where not said), or None.

    '/' says nothing: a reader inside of the container's cgroup namespace sees just that.
    """
    best = None
    for path in paths:
        unit, in_slice, pod = innermost(UNIT, path), innermost(SLICE, path), innermost(POD, path)
        where = {'runtime': None, 'id': None, 'pod': pod.group(1).replace('_', '-') if pod else None,
                 'unit': unit.group(1) if unit else None, 'slice': in_slice.group(1) if in_slice else None}
        for runtime, pattern in CONTAINER_PATHS:
            m = innermost(pattern, path)
            if m:
                return dict(where, runtime=runtime, id=m.group('id') or None)
        if not best and (unit or in_slice):
            best = where
    return best


CONTAINER_FILES = (('docker', re.compile(r'.*/docker/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf)$')),
                   ('podman', re.compile(r'.*/overlay-containers/([0-9a-f]{64})/userdata/')),
                   ('kubernetes', re.compile(r'.*/pods/([0-9a-f-]{36})/(?:etc-hosts|containers/)')))


def container_of_mounts(mounts):
    """The same from the mounts, where the cgroup path is hidden: runtimes bind /etc/hostname from a folder named by the id."""
    for m in mounts:
        for runtime, pattern in CONTAINER_FILES:
            found = pattern.match(m.root[:4096]) if m.mountpoint.startswith('/etc/') or m.mountpoint == '/dev/termination-log' else None
            if found:
                is_pod = runtime == 'kubernetes'
                return {'runtime': runtime, 'id': None if is_pod else found.group(1), 'pod': found.group(1) if is_pod else None,
                        'unit': None, 'slice': None}
    return None


# Control groups: what the files say. 'max' is no limit, None is not known.

def limit_value(word):
    """A limit: int, or 'max'. Version 1 writes no limit as the largest multiple of the page size (2^63 less a page; 32 bits:
    2^31 pages), 2.6.32 as 2^63-1, cpu quotas as -1."""
    word = word.strip() if word is not None else None
    if word == 'max':
        return 'max'
    value = number(word) if word else None
    if value is not None and (value < 0 or value >= 1 << 62 or value == 2147483647 * 4096):
        return 'max'
    return value


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class LevelLook(NamedTuple):
    """The files of one level of one group: what they said first, and what they said later (None: no second look)."""
    level: dict
    version: int
    later: object

    def first(self, name):
        return self.level['files'].get(name)

    def second(self, name):
        return (self.later or {}).get(self.level['dir'] + '/' + name)

    def latest(self, name):
        again = self.second(name)
        return self.first(name) if again is None else again

    def value(self, name):
        word = self.latest(name)
        return number(word.strip()) if word is not None else None

    def counters(self, name):
        """(now, growth): two dicts of a flat file; growth holds only counters seen twice."""
        before = parse_flat((self.first(name) or '').encode('utf-8', 'surrogateescape'))
        again = self.second(name)
        after = parse_flat(again.encode('utf-8', 'surrogateescape')) if again is not None else None
        if after is None:
            return before, {}
        return after, {k: grown(after[k], before.get(k)) for k in after if grown(after[k], before.get(k)) is not None}

    def source(self, name):
        return source_name(self.level['dir'] + '/' + name)


def cpu_level(look):
    """Bandwidth of one level: quota in CPUs, and how often it was held back. Throttled time is summed over CPUs, and
    booked only when a group is let go again. A level counts its own quota alone, not its ancestors'."""
    if look.version == 2:
        words = (look.first('cpu.max') or '').split()
        quota, period = (limit_value(words[0]), number(words[1])) if len(words) == 2 else (None, None)
        key, scale, limit_file = 'throttled_usec', 1e6, 'cpu.max'
    else:
        quota, period = limit_value(look.first('cpu.cfs_quota_us')), look.value('cpu.cfs_period_us')
        key, scale, limit_file = 'throttled_time', 1e9, 'cpu.cfs_quota_us'
    now, more = look.counters('cpu.stat')
    cpus = quota / float(period) if is_number(quota) and period else quota if quota == 'max' else None
    return {'path': look.level['path'], 'quota_cpus': cpus, 'quota_us': quota, 'period_us': period,
            'nr_periods': now.get('nr_periods'), 'nr_throttled': now.get('nr_throttled'),
            'throttled_s': now[key] / scale if key in now else None,
            'more_periods': more.get('nr_periods'), 'more_throttled': more.get('nr_throttled'),
            'more_throttled_s': more[key] / scale if key in more else None,
            'weight': look.value('cpu.weight'), 'shares': look.value('cpu.shares'), 'idle': look.value('cpu.idle'),
            'rt_runtime_us': look.value('cpu.rt_runtime_us'),
            'limit_source': look.source(limit_file), 'source': look.source('cpu.stat')}


def memory_level(look):
    """Use against the limits of one level, bytes. kept is what the kernel cannot simply drop: use without page cache (active and inactive) and
    reclaimable slab; use at the limit that is cache is no pressure. working_set leaves out inactive cache alone, as kubectl top does.
    memory.stat counts the level and all below it (version 1: total_*)."""
    stat, _ = look.counters('memory.stat')
    two = look.version == 2
    prefix = '' if two else 'total_'
    usage = look.value('memory.current' if two else 'memory.usage_in_bytes')
    inactive, active = [stat.get(prefix + k, stat.get(k)) for k in ('inactive_file', 'active_file')]
    known = None not in (usage, inactive, active)
    memsw = look.value('memory.memsw.usage_in_bytes')
    events, more_events = look.counters('memory.events')
    control, more_control = look.counters('memory.oom_control')
    fails, fails_later = number((look.first('memory.failcnt') or '').strip()), number((look.second('memory.failcnt') or '').strip())
    return {'path': look.level['path'], 'usage': usage, 'is_leaf': look.level['is_leaf'],
            'limit': limit_value(look.first('memory.max' if two else 'memory.limit_in_bytes')),
            'high': limit_value(look.first('memory.high')) if two else 'max',
            'working_set': max(0, usage - inactive) if known else None,
            'kept': max(0, usage - inactive - active - stat.get('slab_reclaimable', 0)) if known else None,
            'file': stat.get(prefix + ('file' if two else 'cache')), 'anon': stat.get(prefix + ('anon' if two else 'rss')),
            'swap': look.value('memory.swap.current') if two else memsw - usage if None not in (memsw, usage) else None,
            'swap_max': limit_value(look.first('memory.swap.max')) if two else None,
            'memsw_limit': limit_value(look.first('memory.memsw.limit_in_bytes')),
            'events': events, 'more_events': more_events, 'failcnt': fails_later if fails_later is not None else fails,
            'more_failcnt': grown(fails_later, fails), 'oom_kill_disable': control.get('oom_kill_disable'),
            'under_oom': control.get('under_oom'), 'oom_kill': events.get('oom_kill', control.get('oom_kill')),
            'more_oom_kill': more_events.get('oom_kill', more_control.get('oom_kill')),
            'source': look.source('memory.current' if two else 'memory.usage_in_bytes'),
            'limit_source': look.source('memory.max' if two else 'memory.limit_in_bytes'),
            'events_source': look.source('memory.events' if two else 'memory.oom_control')}


def freezer_level(look):
    """frozen: the tasks stand; freezing: asked for and not yet reached; own: this level asked, not one above it."""
    if look.version == 2:
        events, _ = look.counters('cgroup.events')
        own, frozen = look.value('cgroup.freeze'), events.get('frozen')
        return {'path': look.level['path'], 'version': 2, 'own': bool(own) if own is not None else None,
                'frozen': bool(frozen) if frozen is not None else None, 'state': 'frozen %s' % frozen,
                'freezing': bool(own) and frozen == 0, 'source': look.source('cgroup.events'),
                'switch': look.source('cgroup.freeze')}
    state, own = (look.latest('freezer.state') or '').strip(), look.value('freezer.self_freezing')
    return {'path': look.level['path'], 'version': 1, 'own': bool(own) if own is not None else None,
            'frozen': state == 'FROZEN' if state else None, 'state': state, 'freezing': state == 'FREEZING',
            'source': look.source('freezer.state'), 'switch': look.source('freezer.state')}


def pids_level(look):
    """Tasks (threads count) against the limit; events 'max' counts the forks that were refused."""
    now, more = look.counters('pids.events')
    return {'path': look.level['path'], 'current': look.value('pids.current'), 'max': limit_value(look.first('pids.max')),
            'refused': now.get('max'), 'more_refused': more.get('max'), 'source': look.source('pids.current'),
            'limit_source': look.source('pids.max'), 'events_source': look.source('pids.events')}


def pressure_level(look, seconds):
    """PSI of one level, and what it rose by over the watch, in percent of the watch."""
    found = {}
    for kind in ('cpu', 'memory', 'io', 'irq'):
        name = kind + '.pressure'
        if look.first(name):
            found[kind] = pressure_facts(look.first(name), look.second(name), seconds)
    return {'path': look.level['path'], 'pressure': found, 'source': look.level['dir']}


def pressure_facts(first, later, seconds):
    """{'some_avg10', 'full_avg10', 'some_watch_pct', 'full_watch_pct'}: the kernel's average over 10 s and the watch's own."""
    before = parse_pressure(first.encode('utf-8', 'surrogateescape'))
    after = parse_pressure(later.encode('utf-8', 'surrogateescape')) if later is not None else {}
    return pressure_growth(before, after, seconds)


def pressure_growth(before, after, seconds):
    """The same from parsed files; after {} where there was no second look."""
    facts = {}
    for kind in ('some', 'full'):
        rise = grown(after.get(kind, {}).get('total'), before.get(kind, {}).get('total'))
        facts[kind + '_avg10'] = (after or before).get(kind, {}).get('avg10')
        facts[kind + '_watch_pct'] = min(100.0, rise / 1e4 / seconds) if rise is not None and seconds else None
    return facts


def looks_with(first, later, controller, names):
    """Every level, leaf first, whose hierarchy carries a controller (version 2 carries all) and has one of the files."""
    files = later['files'] if later else None
    for group in first['groups']:
        if controller in group['controllers'] or 'unified' in group['controllers']:
            for level in group['levels']:
                if any(n in level['files'] for n in names):
                    yield LevelLook(level, group['version'], files)


def cgroup_facts(first, later=None, seconds=None):
    """All that the rules and the report want of the groups of a process; pure. later None: a single look, no growth is known."""
    cpu = [cpu_level(k) for k in looks_with(first, later, 'cpu', ('cpu.max', 'cpu.cfs_quota_us', 'cpu.weight', 'cpu.shares'))]
    memory = [memory_level(k) for k in looks_with(first, later, 'memory', ('memory.current', 'memory.usage_in_bytes', 'memory.max'))]
    freezer = [freezer_level(k) for k in looks_with(first, later, 'freezer', ('cgroup.events', 'freezer.state'))]
    pids = [pids_level(k) for k in looks_with(first, later, 'pids', ('pids.current', 'pids.max'))]
    psi = [pressure_level(k, seconds) for k in looks_with(first, later, 'unified', ('cpu.pressure', 'memory.pressure', 'io.pressure'))]
    versions = {g['version'] for g in first['groups']}
    v1 = any(line[0] for line in first['lines'])
    return {'readable': first['readable'], 'source': first['source'], 'seconds': seconds, 'looked_twice': bool(later and later['files']),
            'version': None if not first['lines'] else 'hybrid' if v1 and 2 in versions else 'v1' if v1 else 'v2',
            'paths': [{'controllers': line[1], 'path': line[2], 'deleted': line[3]} for line in first['lines']],
            'found': [{'controllers': g['controllers'], 'dir': g['levels'][0]['dir'] if g['levels'] else None, 'via': g['via'],
                       'hidden_above': g['hidden_above']} for g in first['groups']],
            'container': first['container'], 'cpu': cpu, 'cpu_seen': carrier(first, 'cpu') is not None, 'cpu_limiting': tightest(cpu, cpu_tightness),
            'memory': memory, 'memory_limiting': tightest(memory, memory_share), 'freezer': freezer, 'frozen': frozen_fact(first, freezer),
            'pids': pids, 'pids_limiting': tightest(pids, pids_share), 'pressure': psi, 'cpuset': cpuset_facts(first),
            'io_limits': io_limits(first), 'hidden_above': any(g['hidden_above'] for g in first['groups'])}


def tightest(levels, measure):
    """The level with the largest measure, None where no level has one: the ancestor that limits."""
    known = [(measure(level), -i) for i, level in enumerate(levels) if measure(level) is not None]
    return levels[-max(known)[1]] if known else None


def cpu_tightness(level):
    """Most held back over the watch first, then in its lifetime, then by the smallest quota."""
    if not is_number(level['quota_cpus']):
        return None
    return (part_percent(level['more_throttled'], level['more_periods']) or 0, part_percent(level['nr_throttled'], level['nr_periods']) or 0,
            -level['quota_cpus'])


def memory_share(level):
    """What cannot be dropped over the smaller of limit and high, 0..1; None where one of them is unknown, or there is no limit."""
    limits = [n for n in (level['limit'], level['high']) if is_number(n) and n > 0]
    return level['kept'] / float(min(limits)) if limits and level['kept'] is not None else None


def pids_share(level):
    """Tasks over the limit, 0..1; a limit of 0 is full."""
    if not is_number(level['max']) or level['current'] is None:
        return None
    return level['current'] / float(level['max']) if level['max'] else 1.0


def carrier(first, controller):
    """The group, found and listed, whose files tell of a controller: version 1's own line where there is one, else version 2's."""
    lines = [g for g in first['groups'] if controller in g['controllers']]
    lines = lines or [g for g in first['groups'] if 'unified' in g['controllers']]
    return lines[0] if lines and lines[0]['levels'] else None


def frozen_fact(first, levels):
    """Is the process's own group frozen, and which group asked for it (the highest that did)? None: not known, {} : it is not.

    Version 1 and 2 freeze independently, and the leaf of each hierarchy says whether its tasks stand. A root has no such file: it cannot freeze.
    """
    for version in (1, 2):
        own = [level for level in levels if level['version'] == version]
        if own and (own[0]['frozen'] or own[0]['freezing'] or any(v['own'] for v in own)):
            askers = [v for v in own if v['own']]
            asker = askers[-1] if askers else own[0]
            return dict(own[0], by=asker['path'], switch=asker['switch'])
    return {} if carrier(first, 'freezer') else None


def cpuset_facts(first):
    """The CPUs that the leaf may use: {'cpus': '0-1', 'count': 2, 'source'}; None where nothing says."""
    for look in looks_with(first, None, 'cpuset', ('cpuset.effective_cpus', 'cpuset.cpus.effective', 'cpuset.cpus')):
        for name in ('cpuset.cpus.effective', 'cpuset.effective_cpus', 'cpuset.cpus'):
            if (look.first(name) or '').strip():
                return {'cpus': look.first(name).strip(), 'count': cpu_list_count(look.first(name)), 'source': look.source(name)}
    return None


def io_limits(first):
    """I/O throttles in force on any level: [{'path', 'text', 'source'}]; io that waits for them shows as D."""
    found = []
    for look in looks_with(first, None, 'blkio', CGROUP_FILES['blkio'] + ('io.max',)):
        for name in CGROUP_FILES['blkio'] + ('io.max',):
            for line in (look.first(name) or '').strip().split('\n')[:4]:
                if line and re.search(r'=\d|^\d+:\d+ \d', line):
                    found.append({'path': look.level['path'], 'text': '%s %s' % (name, line), 'source': look.source(name)})
    return found


# RULES about control groups. `signs` is what the process itself shows over the watch; every key may be missing or None (unknown):
#   pid, watched_s, running_tids (R in every look), seen_running (R in any), stuck_tids (D in every look), cpu_s (process, used over
#   the watch), run_delay_s (the most that one thread's schedstat delay grew; None where schedstat is all zeros), timeslices (growth of schedstat's
#   third field, summed over running_tids), wchans {tid: name}, stacks {tid: [function]}, majflt (growth), VmSwap_kB, VmRSS_kB, nice, policy

def raise_hint(container, what):
    """How to change a limit where the group belongs to something known; what: 'cpu', 'memory', 'pids'."""
    hints = {'docker': {'cpu': 'docker update --cpus N %s', 'memory': 'docker update --memory BYTES %s', 'pids': 'docker update --pids-limit N %s'},
             'podman': {'cpu': 'podman update --cpus N %s', 'memory': 'podman update --memory BYTES %s', 'pids': 'podman update --pids-limit N %s'},
             'unit': {'cpu': 'systemctl set-property %s CPUQuota=N%%', 'memory': 'systemctl set-property %s MemoryMax=BYTES',
                      'pids': 'systemctl set-property %s TasksMax=N'}}
    container = container or {}
    if container.get('pod'):
        return 'raise resources.limits.%s of the container in pod %s' % (what, container['pod'])
    if container.get('id') and container.get('runtime') in hints:
        return hints[container['runtime']][what] % container['id'][:12]
    if container.get('unit') and not container.get('id'):
        return hints['unit'][what] % safe(container['unit'])
    return 'raise the limit of the group, or find what else uses it up'


def throttle_growth(facts):
    """Levels that were held back during the watch, the worst first; None when that is not known. No quota anywhere: []."""
    levels = [v for v in facts['cpu'] if v['quota_cpus'] != 'max']
    known = [v for v in levels if v['more_throttled'] is not None or v['more_throttled_s'] is not None]
    held = [v for v in known if (v['more_throttled'] or 0) > 0 or (v['more_throttled_s'] or 0) > 0]
    if not held and (len(known) < len(levels) or not facts['cpu_seen'] or facts['hidden_above']):
        return None
    return sorted(held, key=cpu_held_pct, reverse=True)


def cpu_held_pct(level):
    """Percent of the enforcement periods in which the level ran out of quota, over the watch."""
    if not level['more_periods']:
        return 100.0 if (level['more_throttled'] or level['more_throttled_s']) else 0.0
    return min(100.0, part_percent(level['more_throttled'] or 0, level['more_periods']))


def barely_runs(signs):
    """Does the process want a CPU and hardly get one? True, False, or None (not known)."""
    watched, used = signs.get('watched_s'), signs.get('cpu_s')
    wants = signs.get('running_tids') or (signs.get('run_delay_s') or 0) >= 0.5 * (watched or 1)
    if not watched or used is None or (signs.get('running_tids') is None and signs.get('run_delay_s') is None):
        return None
    return bool(wants) and used <= max(0.02, 0.2 * watched)


def run_evidence(signs):
    """What the process itself shows: runnable, and yet not run."""
    pid, lines = signs.get('pid'), []
    for tid in (signs.get('running_tids') or [])[:3]:
        lines.append(Evidence('thread %d was runnable (R) in every look' % tid, '%s/task/%d/stat' % (pid, tid)))
    if signs.get('cpu_s') is not None and signs.get('watched_s'):
        lines.append(Evidence('it used %.2f s of CPU in %.2f s' % (signs['cpu_s'], signs['watched_s']), '%s/stat' % pid))
    if signs.get('run_delay_s'):
        ran = '' if signs.get('run_s') is None else ' and ran %.2f s' % signs['run_s']
        lines.append(Evidence('thread %s waited %.2f s for one while runnable%s' % (signs.get('run_delay_tid'), signs['run_delay_s'], ran),
                              '%s/task/%s/%s' % (pid, signs.get('run_delay_tid'), signs.get('run_delay_by') or 'schedstat')))
    return lines


def quota_text(level):
    """'0.01 CPU (1000 us in every 100000 us)'."""
    if not is_number(level['quota_cpus']):
        return 'a quota that could not be read'
    return '%.4g CPU (%d us in every %d us)' % (level['quota_cpus'], level['quota_us'], level['period_us'])


def rule_cpu_throttled(facts, signs, host=None):
    """Held back by a CPU quota (CFS bandwidth): the group has used its share of the period and may not run until the next.

    The process shows R and `running`, waits in no call, and hardly uses CPU, as a starved one does; only cpu.stat tells
    them apart. It is the cause where most periods were cut while this process wanted to run. A busy server cut in one
    period of a hundred is slowed, not stuck: a note. A group whose other members are cut while this process sleeps: a note.
    """
    growth = throttle_growth(facts)
    if growth is None:
        return throttled_before(facts, signs)
    if not growth:
        return []
    worst, barely = growth[0], barely_runs(signs)
    held, lost = cpu_held_pct(worst), worst['more_throttled_s'] or 0
    asleep = signs.get('running_tids') == [] and not signs.get('seen_running') and not (signs.get('run_delay_s') or 0) > 0.05
    severity = 'note' if asleep else 'critical' if held >= 50 and barely else 'warning' if held >= 25 else 'note'
    summary = ('CPU quota: the group %s may use %s and was held back in %d of %d periods of the watch'
               % (safe(worst['path']), quota_text(worst), worst['more_throttled'] or 0, worst['more_periods'] or 0))
    summary += ('; this process was asleep all the while' if asleep else '; its runnable threads hardly run' if barely else '')
    evidence = [Evidence('nr_throttled +%d of nr_periods +%d, throttled for %.2f s more (summed over CPUs)'
                         % (worst['more_throttled'] or 0, worst['more_periods'] or 0, lost), worst['source']),
                Evidence('quota %s' % quota_text(worst), worst['limit_source'])] + run_evidence(signs)
    confidence = 'proven' if barely and held >= 50 else 'likely'
    return [Finding('cpu-throttled', severity, confidence, summary, evidence, [raise_hint(facts['container'], 'cpu'),
            'watch nr_throttled in /%s' % safe(shell_path(worst['source']))], list(signs.get('running_tids') or []), [])]


def shell_path(source):
    """An evidence source as a path that a shell takes, without the leading slash."""
    return source if source.startswith('sys/') else 'proc/' + source if re.match(r'\d', source) else source


def throttled_before(facts, signs):
    """The one-look form: the counters are of the group's whole life, so it stays a guess unless the process is seen not to run."""
    level = facts['cpu_limiting']
    share = part_percent(level['nr_throttled'], level['nr_periods']) if level else None
    barely = barely_runs(signs)
    wants = barely or (barely is None and (signs.get('running_tids') or signs.get('seen_running')))
    if share is None or share < 25 or not wants or level['more_throttled'] is not None:
        return []
    severity = 'critical' if barely and share >= 50 else 'warning'
    confidence = 'likely' if barely and share >= 50 else 'possible'
    summary = ('CPU quota: the group %s may use %s and was held back in %d of its %d periods so far'
               % (safe(level['path']), quota_text(level), level['nr_throttled'], level['nr_periods']))
    evidence = [Evidence('nr_throttled %d of nr_periods %d, since the group was made; no second look at it'
                         % (level['nr_throttled'], level['nr_periods']), level['source']),
                Evidence('quota %s' % quota_text(level), level['limit_source'])] + run_evidence(signs)
    return [Finding('cpu-throttled', severity, confidence, summary, evidence,
                    ['watch it: nr_throttled in /%s must grow' % safe(shell_path(level['source'])), raise_hint(facts['container'], 'cpu')],
                    list(signs.get('running_tids') or []), [])]


def rule_cpu_starved(facts, signs, host=None):
    """Runnable for the whole watch, yet hardly on a CPU, and no quota held it: others take the CPU (a hog of higher priority,
    a small weight, nice 19, SCHED_IDLE, one CPU in its cpuset, too much load). One that sleeps in between is starved as well:
    its thread waits three times as long as it runs, and that is a part of the watch that is felt; on a host that is just busy,
    and without a handicap of its own, a note. Not it: a process that gets a quarter of a CPU works; one that is R in both looks by chance, and was put on a CPU in between without long waits.
    """
    watched, used, delay = signs.get('watched_s'), signs.get('cpu_s'), signs.get('run_delay_s')
    most = 0.5 if signs.get('policy') == 5 or (signs.get('nice') or 0) >= 10 else 0.25     # who is meant to get less
    if not watched or watched < 0.2 or used is None or used > most * watched:
        return []
    growth = throttle_growth(facts)
    if growth or (growth is None and throttled_before(facts, signs)):
        return []
    never_ran = signs.get('running_tids') and used <= 0.02 + 0.02 * watched and (delay is None or signs.get('timeslices') == 0)
    all_along = never_ran or (delay is not None and delay >= 0.5 * watched)
    ran = signs.get('run_s')
    if not all_along and (delay is None or ran is None or delay < max(0.15 * watched, 3 * ran)):
        return []
    confidence = 'possible' if growth is None else 'likely'
    why = starved_because(facts, signs, host)
    severity = 'critical' if all_along and used <= 0.1 * watched else 'warning' if all_along or why or delay >= 0.4 * watched else 'note'
    summary = ('%s: %.2f s of CPU in %.2f s, and no quota holds it%s'
               % ('runnable, but the CPU goes to others' if all_along else 'it waits for a CPU longer than it runs, as others have it',
                  used, watched, ' as far as could be read' if growth is None else ''))
    return [Finding('cpu-starved', severity, confidence, summary + (' (%s)' % why if why else ''), run_evidence(signs),
                    ['top -H -o %CPU: see what runs instead', 'chrt -p PID and the nice value: see its priority'],
                    list(signs.get('running_tids') or []), [])]


def starved_because(facts, signs, host):
    """What may make it lose the race for the CPU; '' where nothing shows."""
    reasons = []
    if signs.get('policy') in (5, 'SCHED_IDLE'):
        reasons.append('policy SCHED_IDLE')
    if (signs.get('nice') or 0) >= 10:
        reasons.append('nice %d' % signs['nice'])
    if (facts.get('cpuset') or {}).get('count') == 1:
        reasons.append('only CPU %s allowed' % safe(facts['cpuset']['cpus']))
    small = [v for v in facts['cpu'] if (v['weight'] or 100) < 20 or (v['shares'] or 1024) < 205 or v['idle']]
    if small:
        reasons.append('low weight of group %s' % safe(small[0]['path']))
    load = (host or {}).get('runnable')
    if load and (host or {}).get('cpus') and load > 2 * host['cpus']:
        reasons.append('%d tasks runnable on %d CPUs' % (load, host['cpus']))
    return ', '.join(reasons)


def rule_frozen(facts, signs, host=None):
    """The freezer stops every task of a group, without a signal (docker pause, systemctl freeze, a suspended checkpoint). Under
    version 1 they show D, with version 2 S: neither disk nor lock. SIGKILL waits too under version 1. Only a thaw ends it."""
    frozen = facts['frozen']
    if not frozen:
        return []
    sure = frozen['frozen']
    summary = ('the control group %s is %s: nothing in it runs until it is thawed'
               % (safe(frozen['by']), 'frozen' if sure else 'being frozen (some task has not stopped yet)'))
    runtime = (facts['container'] or {}).get('runtime')
    thaw = {'docker': 'docker unpause %s', 'podman': 'podman unpause %s'}.get(runtime)
    steps = [thaw % facts['container']['id'][:12]] if thaw and facts['container'].get('id') else []
    word = 'THAWED' if frozen['version'] == 1 else '0'
    steps.append('echo %s > /%s' % (word, safe(shell_path(frozen['switch']))))
    evidence = [Evidence('%s of %s' % (frozen['state'] or 'state', safe(frozen['path'])), frozen['source'])]
    if frozen['by'] != frozen['path']:
        evidence.append(Evidence('asked for by its ancestor %s' % safe(frozen['by']), frozen['switch']))
    return [Finding('frozen', 'critical' if sure else 'warning', 'proven' if sure else 'likely', summary, evidence, steps, [], [])]


OOM_WAITS = ('mem_cgroup_oom_synchronize', 'mem_cgroup_handle_oom', 'mem_cgroup_oom')
HIGH_WAITS = ('mem_cgroup_handle_over_high', '__mem_cgroup_handle_over_high')


def waiting_in(signs, names):
    """The tids whose wait channel, or a function on the kernel stack, is one of names; compiler suffixes set aside. The stack is there for
    kernels that show no wait channel."""
    seen = {t: [w or ''] for t, w in (signs.get('wchans') or {}).items()}
    for tid, stack in (signs.get('stacks') or {}).items():
        seen.setdefault(tid, []).extend(str(f) for f in stack or ())
    return sorted(t for t, functions in seen.items() if any(f.split('+')[0].split('.')[0] in names for f in functions))


def rule_cgroup_oom(facts, signs, host=None):
    """Out of memory in its own group. With the OOM killer switched off (version 1) the tasks wait in D for memory that nobody frees;
    else members are killed. Totals count since the group was made and, but for the leaf's, those of other groups: a note at most.
    """
    held = [v for v in facts['memory'] if v['under_oom'] and v['oom_kill_disable']]
    waiting = waiting_in(signs, OOM_WAITS)
    if held or waiting:
        return [oom_blocked(facts, held[-1] if held else None, waiting)]
    killing = [v for v in facts['memory'] if (v['more_oom_kill'] or 0) > 0 or (v['more_events'].get('oom') or 0) > 0]
    if killing:
        v = killing[0]
        return [Finding('cgroup-oom', 'warning', 'likely', 'the group %s ran out of memory during the watch: %d killed'
                        % (safe(v['path']), v['more_oom_kill'] or 0), [Evidence('oom_kill +%d' % (v['more_oom_kill'] or 0), v['events_source'])],
                        [raise_hint(facts['container'], 'memory'), 'dmesg -T | grep -i oom: see who was killed'], [], [])]
    before = [v for v in facts['memory'] if v['is_leaf'] and (v['oom_kill'] or 0) > 0]
    return [Finding('cgroup-oom', 'note', 'possible', 'the OOM killer has killed in this group before (%d since it was made), not during the watch'
                    % before[0]['oom_kill'], [Evidence('oom_kill %d' % before[0]['oom_kill'], before[0]['events_source'])],
                    ['dmesg -T | grep -i oom: see who was killed'], [], [])] if before else []


def oom_blocked(facts, level, waiting):
    """The finding of a group that stands still for lack of memory; level None where only the wait channel tells."""
    where = 'the group %s' % safe(level['path']) if level else 'its control group'
    evidence = [Evidence('under_oom 1, oom_kill_disable 1: waits instead of killing', level['events_source']),
                Evidence('%s used of %s' % (bytes_text(level['usage']), bytes_text(level['limit'])), level['source'])] if level else []
    evidence += [Evidence('thread %d waits in the memory group\'s OOM queue' % t, '%s/task/%d/{wchan,stack}' % (facts['source'].split('/')[0], t))
                 for t in waiting[:3]]
    return Finding('cgroup-oom', 'critical', 'proven' if level and waiting else 'likely',
                   '%s is out of memory and its OOM killer is off: tasks wait until memory is freed or the limit raised' % where,
                   evidence, [raise_hint(facts['container'], 'memory')]
                   + (['echo 0 > /%s   (the kernel then kills one instead)' % safe(shell_path(level['events_source']))] if level else []),
                   waiting, [])


def rule_memory_limit(facts, signs, host=None):
    """Near or over a memory limit, counting what the kernel cannot simply drop. Use at the limit that is page cache is normal, and
    failcnt and 'max' events then grow harmlessly: it hurts when tasks stall for reclaim (PSI), memory.high slows them, or next to nothing is left.
    """
    level, throttled = facts['memory_limiting'], waiting_in(signs, HIGH_WAITS)
    share, stalls = memory_share(level) if level else None, memory_stall(facts) or 0
    if throttled and level is None:
        return [Finding('memory-limit', 'critical', 'likely', 'its threads are slowed for being over memory.high of their control group',
                        high_evidence(signs, throttled), [raise_hint(facts['container'], 'memory')], throttled, [])]
    if share is None or not (throttled or share >= 0.9 or thrashing(level, stalls, signs)):
        return []
    severity = ('critical' if throttled or stalls >= 40 else 'warning' if stalls >= 10 or share >= 0.97 or thrashing(level, stalls, signs) else 'note')
    summary = ('memory of the group %s: %s in use besides page cache, %.0f %% of its limit of %s'
               % (safe(level['path']), bytes_text(level['kept']), 100 * share, bytes_text(level_limit(level))))
    summary += ('; its threads are slowed for it' if throttled else '; all its tasks stall %.0f %% of the time' % stalls if stalls >= 10 else '')
    return [Finding('memory-limit', severity, 'proven' if throttled else 'likely' if severity != 'note' else 'possible', summary,
                    memory_evidence(level) + high_evidence(signs, throttled), [raise_hint(facts['container'], 'memory')], throttled, [])]


def level_limit(level):
    """The smaller of limit and high that is a number."""
    return min(n for n in (level['limit'], level['high']) if is_number(n))


def thrashing(level, stalls, signs):
    """At the limit, and its own page cache (the program's code) is dropped and read again: stalls, or major faults by the hundred."""
    full = is_number(level['usage']) and level['usage'] >= 0.97 * level_limit(level)
    faults = (signs.get('majflt') or 0) / float(signs.get('watched_s') or 1)
    return full and (stalls >= 10 or faults >= 100 and bool(hits_of(level)))


def hits_of(level):
    """The counters of reaching a limit that grew over the watch."""
    hits = [k for k in ('high', 'max') if (level['more_events'].get(k) or 0) > 0]
    return hits + (['failcnt'] if (level['more_failcnt'] or 0) > 0 else [])


def memory_evidence(level):
    evidence = [Evidence('%s used, of it %s droppable page cache' % (bytes_text(level['usage']), bytes_text(level['usage'] - level['kept'])), level['source']),
                Evidence('limit %s, high %s' % (bytes_text(level['limit']), bytes_text(level['high'])), level['limit_source'])]
    return evidence + ([Evidence('%s grew during the watch' % ', '.join(hits_of(level)), level['events_source'])] if hits_of(level) else [])


def high_evidence(signs, tids):
    return [Evidence('thread %d waits in the throttle of memory.high' % t, '%s/task/%d/wchan' % (signs.get('pid'), t)) for t in tids[:3]]


def memory_stall(facts):
    """How much of the time all tasks of the leaf stalled for memory, percent; the smaller of the 10 s average and the watch's own."""
    leaf = facts['pressure'][0]['pressure'].get('memory') if facts['pressure'] else None
    seen = [v for v in ((leaf or {}).get('full_avg10'), (leaf or {}).get('full_watch_pct')) if v is not None]
    return min(seen) if seen else None


def rule_swapping(facts, signs, host=None):
    """Its pages come back from swap faster than it gets on: major faults by the hundred a second while memory of it is swapped.

    Swap in use alone is no trouble; nor are major faults without swap (a program being loaded, a mapped file being read).
    """
    watched, faults, swapped = signs.get('watched_s'), signs.get('majflt'), signs.get('VmSwap_kB')
    if not watched or not faults or not swapped:
        return []
    rate, swapin = faults / watched, (host or {}).get('pswpin')
    if rate < 50 or swapped < 1024 or (swapin is not None and swapin / watched < 25):
        return []
    slow = signs.get('cpu_s') is not None and signs['cpu_s'] < 0.5 * watched
    severity = 'critical' if rate >= 500 and slow else 'warning'
    level = next((v for v in facts['memory'] if is_number(v['limit'])), None)
    evidence = [Evidence('majflt +%d in %.1f s' % (faults, watched), '%s/stat' % signs.get('pid')),
                Evidence('VmSwap %s' % bytes_text(swapped * 1024), '%s/status' % signs.get('pid'))]
    evidence += [Evidence('the host read %d pages from swap meanwhile' % swapin, 'vmstat')] if swapin is not None else []
    evidence += [Evidence('memory limit of %s: %s' % (safe(level['path']), bytes_text(level['limit'])), level['limit_source'])] if level else []
    return [Finding('swapping', severity, 'likely' if swapin is not None else 'possible',
                    'it works from swap: %.0f major faults a second with %s swapped out' % (rate, bytes_text(swapped * 1024)),
                    evidence, [raise_hint(facts['container'], 'memory'), 'vmstat 1: see si and so'], [], [])]


def rule_pids_limit(facts, signs, host=None):
    """No new process or thread may be made in the group: fork and clone fail with EAGAIN ('Resource temporarily unavailable').

    Threads count. Refusals before the watch, with room now, are a note.
    """
    full = [v for v in facts['pids'] if pids_share(v) is not None and pids_share(v) >= 1]
    growing = [v for v in facts['pids'] if (v['more_refused'] or 0) > 0]
    near = [v for v in facts['pids'] if pids_share(v) is not None and pids_share(v) >= 0.9]
    once = [v for v in facts['pids'][:1] if (v['refused'] or 0) > 0]
    level = (full or growing or near or once or [None])[0]
    if level is None:
        return []
    refused = sum(v['more_refused'] or 0 for v in growing[:1])
    severity, confidence = (('critical', 'proven') if full and growing else ('warning', 'likely') if full or growing else ('note', 'possible'))
    summary = ('the group %s has %s of %s tasks' % (safe(level['path']), level['current'], level['max'])
               + (': fork and clone fail with EAGAIN' if full else ''))
    summary += (', %d refused during the watch' % refused if refused else
                ', %d were refused since it was made' % level['refused'] if level['refused'] else '')
    evidence = [Evidence('pids.current %s, pids.max %s' % (level['current'], level['max']), level['source'])]
    evidence += [Evidence('max %d (+%d)' % (v['refused'] or 0, v['more_refused'] or 0), v['events_source']) for v in (growing or once)[:1]]
    return [Finding('pids-limit', severity, confidence, summary, evidence,
                    [raise_hint(facts['container'], 'pids'), 'count its threads: a leak of threads looks the same'], [], [])]


# When stall time is worth a word. Rows: resource, kind, percent for a warning. CPU is of no use here: a throttled group counts as waiting, and
# 'some' is near 100 on any machine that is well used.
PRESSURE_ROWS = (('memory', 'full', 10.0), ('io', 'full', 40.0), ('irq', 'full', 40.0))


def high_pressure(pressure, rows=PRESSURE_ROWS):
    """[(resource, kind, avg10, watch_pct)] where both the 10 s average and, where known, the watch agree that it is high now."""
    found = []
    for resource, kind, least in rows:
        seen = pressure.get(resource) or {}
        average, watch = seen.get(kind + '_avg10'), seen.get(kind + '_watch_pct')
        if average is not None and average >= least and (watch is None or watch >= least / 2):
            found.append((resource, kind, average, watch))
    return found


def rule_pressure(facts, signs, host=None):
    """Time in which all tasks that could work stood still for memory or I/O (PSI). It says that there is a shortage, not whose fault it
    is. On an idle host one stalled task of another container makes it 100 %: of the whole host it is a warning only where
    this process has stalled too (a thread seen in D, or a page that had to be brought from a disk)."""
    of_host = (host or {}).get('pressure') or {}
    where = [(v['pressure'], 'the group %s' % safe(v['path']), v['source'] + '/%s.pressure', whose_pressure(v, of_host)) for v in facts['pressure'][:1]]
    where += [(of_host, 'the host', 'pressure/%s', 'host')] if of_host else []
    for pressure, name, source, whose in where:
        high = high_pressure(pressure)
        if high:
            stalled = signs.get('stalled') or signs.get('majflt')
            words = ', '.join('%s %.0f %%' % (resource, average) for resource, _, average, _ in high)
            evidence = [Evidence('%s avg10 %.1f %%%s' % (kind, average, '' if watch is None else ', over the watch %.1f %%' % watch),
                                 source_name(source % resource)) for resource, kind, average, watch in high]
            if whose == 'host' and not stalled:
                evidence.append(Evidence('this process shows no sign of it: no thread seen in D, no page brought from a disk', 'task/*/stat'))
            return [Finding('pressure', 'warning' if whose == 'group' or stalled else 'note', 'possible',
                            'on %s all tasks together stood still for lack of %s of the last 10 s' % (name, words), evidence,
                            ['python3 procdoc.py system'], [], [])]
    return []


def whose_pressure(level, of_host):
    """'group', or 'host' where the level is the root: its figures are the host's. In a control group namespace the
    container's own group is called / too."""
    def figures(pressure):
        return [round((pressure.get(name) or {}).get('full_avg10') or 0.0) for name in ('memory', 'io')]
    return 'host' if level['path'] in ('/', '') and figures(level['pressure']) == figures(of_host) else 'group'


CGROUP_RULES = (rule_frozen, rule_cgroup_oom, rule_cpu_throttled, rule_cpu_starved, rule_pids_limit, rule_memory_limit, rule_swapping,
                rule_pressure)


def cgroup_findings(facts, signs, host=None):
    """All of the above. host: {'pswpin': pages over the watch, 'runnable', 'cpus', 'pressure': {resource: pressure_facts}}, or None."""
    return [f for rule in CGROUP_RULES for f in rule(facts, signs, host)]


# ROOM LIMITS AND SIGNALS ======================================================
# rlimits against use, and signals that are held.

# Name in /proc/PID/limits, ulimit letter, unit of bash's ulimit, key of use (see limits_report), what happens at the limit, a remark.
RLIMITS = (
    ('Max open files', 'n', '', 'fds', 'EMFILE from open, socket, accept, pipe, epoll_create', 'counts the whole process; at most fs.nr_open'),
    ('Max processes', 'u', '', 'user_tasks', 'EAGAIN from fork and clone', 'counts all threads of the user, not of this process; root is exempt'),
    ('Max stack size', 's', 'KiB', 'stack', 'SIGSEGV when the main stack grows past it', 'also the default size of new threads\' stacks'),
    ('Max locked memory', 'l', 'KiB', 'locked', 'ENOMEM or EAGAIN from mlock, mlockall; EPERM where 0', 'root is exempt'),
    ('Max file size', 'f', 'KiB', None, 'SIGXFSZ, or EFBIG where that is ignored, from write and truncate', 'per file'),
    ('Max address space', 'v', 'KiB', 'address_space', 'ENOMEM from mmap and brk; malloc returns NULL', 'counts mappings, touched or not'),
    ('Max data size', 'd', 'KiB', 'data', 'ENOMEM from brk, and from private mmap since 4.7', ''),
    ('Max cpu time', 't', 's', 'cpu', 'SIGXCPU at the soft limit, SIGKILL at the hard one', ''),
    ('Max pending signals', 'i', '', 'signals', 'EAGAIN from sigqueue and timer_create', 'counts the user\'s, from SigQ'),
    ('Max core file size', 'c', 'KiB', None, 'no core, or a cut one', 'a core_pattern that is a pipe ignores it'),
    ('Max file locks', 'x', '', None, 'ENOLCK; not enforced since 2.4', ''),
    ('Max msgqueue size', 'q', 'bytes', None, 'EMFILE from mq_open', 'counts the user\'s'),
    ('Max resident set', 'm', 'KiB', 'resident', 'nothing: not enforced since 2.4', ''),
    ('Max nice priority', 'e', '', None, 'EPERM or EACCES from setpriority', ''),
    ('Max realtime priority', 'r', '', None, 'EPERM from sched_setscheduler', ''),
    ('Max realtime timeout', 'R', 'us', None, 'SIGXCPU, then SIGKILL, to a real-time thread that never sleeps', ''),
)


def limits_report(limits, usage):
    """Rows for every rlimit, in the order of RLIMITS: limits from parse_limits, usage in the units of the file, keys of RLIMITS
    (see limits_usage); a key that is missing is not known.

    -> [{'name', 'letter', 'soft', 'hard', 'units', 'used', 'used_pct', 'hits', 'remark', 'ulimit'}]
    """
    rows = []
    for name, letter, unit, key, hits, remark in RLIMITS:
        limit = limits.get(name)
        if limit is None:
            continue
        used = usage.get(key) if key else None
        rows.append({'name': name, 'letter': letter, 'soft': limit.soft, 'hard': limit.hard, 'units': limit.units, 'used': used,
                     'used_pct': part_percent(used, limit.soft), 'hits': hits, 'remark': remark, 'ulimit': ulimit_text(limit.soft, letter, unit)})
    return rows


def limits_usage(status, fds=None, cpu_s=None):
    """The usage of limits_report out of PID/status (dict) and what others counted: descriptors, CPU seconds. How many threads the
    user has cannot be known from one process: user_tasks stays out."""
    def kB(name):
        value = number((status.get(name) or '').split(' ')[0])
        return value * 1024 if value is not None else None
    queued = number((status.get('SigQ') or '').partition('/')[0])
    usage = {'fds': fds, 'stack': kB('VmStk'), 'locked': kB('VmLck'), 'address_space': kB('VmSize'), 'data': kB('VmData'),
             'resident': kB('VmRSS'), 'cpu': cpu_s, 'signals': queued}
    return {k: v for k, v in usage.items() if v is not None}


def ulimit_text(soft, letter, unit):
    """The value as bash's `ulimit -S` prints it."""
    if not is_number(soft):
        return 'ulimit -%s %s' % (letter, '?' if soft is None else soft)
    return 'ulimit -%s %d' % (letter, soft // 1024 if unit == 'KiB' else soft)


# Signals.

QUIET_SIGNALS = (14, 17, 18, 20, 21, 22, 23, 26, 27, 28, 29)


def mask_signals(word):
    """'0000000000000100' -> [9]; bit N-1 is signal N; None where the line is missing or no number."""
    mask = number(word, 16) if word else None
    return [n + 1 for n in range(min(mask.bit_length(), 128)) if mask >> n & 1] if mask is not None and mask >= 0 else None


def blocked_everywhere(threads, states):
    """The signals that every living thread blocks, from {tid: status}; None when the mask of one of them is not known.

    A zombie leader is no receiver: its mask does not count.
    """
    common = None
    for tid, status in threads.items():
        if (states.get(tid) or status.get('State', '?')[:1]) in ('Z', 'X'):
            continue
        blocked = mask_signals(status.get('SigBlk'))
        if blocked is None:
            return None
        common = set(blocked) if common is None else common & set(blocked)
    return common


def signal_facts(status, threads, states):
    """What is pending and why it is not delivered. status: PID/status, threads {tid: status} of all threads, states {tid: 'S'}.

    -> {'shared', 'private': {tid: [n]}, 'ignored', 'caught', 'queued', 'queue_limit', 'stuck': [{'signal', 'name', 'scope', 'tids', 'why'}]}
    why: 'blocked' (by every thread that could take it), 'uninterruptible' (D), 'stopped' (T, t), 'unknown'; one that is none of these is on its way.
    """
    queued, _, limit = (status.get('SigQ') or '').partition('/')
    living = {t: (states.get(t) or s.get('State', '?')[:1]) for t, s in threads.items()}
    living = {t: s for t, s in living.items() if s not in ('Z', 'X')}
    private = {t: mask_signals(threads[t].get('SigPnd')) for t in living}
    facts = {'shared': mask_signals(status.get('ShdPnd')), 'private': {t: p for t, p in private.items() if p},
             'ignored': mask_signals(status.get('SigIgn')), 'caught': mask_signals(status.get('SigCgt')),
             'blocked_by_all': sorted(blocked_everywhere(threads, states) or []) if threads else None,
             'queued': number(queued), 'queue_limit': number(limit)}
    return dict(facts, stuck=stuck_signals(facts, threads, living, blocked_everywhere(threads, states)))


def stuck_signals(facts, threads, living, everywhere):
    """The pending signals that do not get through, with the reason; SIGKILL, which has a copy in each thread, once."""
    stuck = []
    for n in facts['shared'] or ():
        why = 'unknown' if everywhere is None else 'blocked' if n in everywhere else held_by_state(living, n)
        stuck.append({'signal': n, 'name': signal_name(n), 'scope': 'process', 'tids': sorted(living), 'why': why})
    for tid, pending in sorted(facts['private'].items()):
        for n in pending:
            blocked = mask_signals(threads[tid].get('SigBlk'))
            why = 'blocked' if n in (blocked or ()) else held_by_state({tid: living[tid]}, n)
            stuck.append({'signal': n, 'name': signal_name(n), 'scope': 'thread', 'tids': [tid], 'why': why})
    kills = [s for s in stuck if s['signal'] == 9 and s['why']]
    if kills:
        tids = sorted({t for s in kills for t in s['tids'] if living.get(t) == 'D'})
        stuck = [s for s in stuck if s['signal'] != 9] + [dict(kills[0], scope='process', tids=tids)]
    return [s for s in stuck if s['why']]


def held_by_state(living, n):
    """Why threads in these states do not take a signal that they do not block; '' when they soon will."""
    if living and all(s == 'D' for s in living.values()) or n == 9 and 'D' in living.values():
        return 'uninterruptible'
    if n != 9 and living and all(s in 'TtD' for s in living.values()):
        return 'stopped'
    return ''


def rule_signal_blocked(facts, pid, persists=None, signalfds=()):
    """A signal was sent and does not arrive: every thread blocks it, or the thread that must take it sits in D.

    Blocked SIGCHLD, SIGALRM and real-time signals are how signalfd and sigwait are used: a note. So is any that a signalfd of the process
    takes. persists: were the same signals pending in both looks (None: one look)?
    """
    found = []
    for s in facts['stuck']:
        if s['why'] not in ('blocked', 'uninterruptible') or persists is False:
            continue
        source = '%s/status' % pid if s['scope'] == 'process' else '%s/task/%d/status' % (pid, s['tids'][0])
        word = 'ShdPnd' if s['scope'] == 'process' else 'SigPnd'
        blocked = s['why'] == 'blocked'
        quiet = blocked and (s['signal'] in QUIET_SIGNALS or s['signal'] >= 32 or s['signal'] in signalfds)
        who = 'every thread blocks it' if s['scope'] == 'process' else 'its thread %d blocks it' % s['tids'][0]
        summary = ('%s is pending and %s' % (s['name'], who) if blocked else
                   '%s is pending, and thread %s is in D, which no signal ends' % (s['name'], ', '.join(str(t) for t in s['tids'][:4])))
        steps = (['kill -KILL %s cannot be blocked' % pid] if blocked and not quiet else
                 [] if blocked else ['find out what the D thread waits for: that alone ends it'])
        found.append(Finding('signal-blocked', 'note' if quiet else 'warning', 'proven' if persists or s['signal'] == 9 else 'likely', summary,
                             [Evidence('%s holds %s' % (word, s['name']), source)] + ([Evidence('SigBlk holds it too', source)] if blocked else []),
                             steps, list(s['tids']) if not blocked else [], []))
    return found


# ROOM READER ==================================================================
# The only code that opens, lists or reads links: live or snapshot, deadlines,
# gaps, recording for capture. Three rules hold it together. Never follow a link
# of the target. What can block is read in one forked child that may be left
# behind. What was not read is a Gap, never an empty value.
# To make a file's reads guarded: one word in MM_LOCKED or EXEC_LOCKED.

# These take the target's mmap lock: they block for ever when one of its threads
# is in D with that lock held (kernels to 6.16 for maps, all for the rest).
MM_LOCKED = frozenset('cmdline environ maps smaps smaps_rollup numa_maps mem exe auxv'.split())
# These take exec_update_lock (cred_guard_mutex before 5.11): they block when the
# target hangs in execve. stat has been seen to block too (in do_task_stat, 6.18). The
# first of each process is tried in the child.
EXEC_LOCKED = frozenset('stat syscall wchan stack io personality'.split())
# One read gives all of these: a second one only to see the end is half the cost.
ONE_READ = frozenset('stat syscall wchan comm schedstat status statm stack'.split())

LOOK_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
FILE_LIMIT = 1 << 25        # no file of /proc that is asked for is longer: net/tcp of 200,000 sockets
SNAP_TOTAL = 1 << 28        # bytes of one snapshot that are unpacked, at most
SNAP_MEMBERS = 400000
SNAP_FILE = 1 << 24


def errno_name(error):
    """An OSError's name: EACCES. Unknown numbers stay numbers."""
    return errno.errorcode.get(error.errno, 'errno %s' % error.errno)


def read_all(fd, limit, one_read):
    """All bytes of an open file up to limit + 1."""
    data = os.read(fd, 16384)
    if not data or (one_read and len(data) < 16384):
        return data
    parts, size = [data], len(data)
    while size <= limit:
        data = os.read(fd, 1 << 17)
        if not data:
            break
        parts.append(data)
        size += len(data)
    return b''.join(parts)


READ_MANY_BYTES = 16384     # read_many reads once: what is longer comes back cut


def each_or_errno(read, path):
    """read(path), or the number of its error."""
    try:
        return read(path)
    except OSError as error:
        return error.errno


class LiveTree:
    """The running kernel. /proc/PID is opened once and held: a reused PID then
    answers ESRCH, never with another process's data."""
    live = True

    def __init__(self):
        self.held = {}

    def hold(self, pid):
        """Keep /proc/PID open for all reads to come; raises OSError."""
        if pid not in self.held:
            self.held[pid] = os.open('/proc/%d' % pid, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def _at(self, path):
        """(name, dir_fd) for a virtual path."""
        parts = path.split('/', 2)
        if parts[0] == 'proc' and len(parts) == 3:
            held = self.held.get(number(parts[1]))
            if held is not None:
                return parts[2], held
        return '/' + path, None

    def read(self, path, limit=FILE_LIMIT):
        """Bytes of a file; raises OSError."""
        name, dir_fd = self._at(path)
        fd = os.open(name, LOOK_OPEN, dir_fd=dir_fd)
        try:
            return read_all(fd, limit, name.rpartition('/')[2] in ONE_READ)
        finally:
            os.close(fd)

    def link(self, path):
        """Where a link points, as bytes, never followed; raises OSError."""
        name, dir_fd = self._at(path)
        return os.readlink(os.fsencode(name), dir_fd=dir_fd)

    def read_many(self, folder, names):
        """[bytes or errno] of small files, each opened from the one folder: a third of the cost of as many read()."""
        name, dir_fd = self._at(folder)
        top = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
        found, opened, read, close = [], os.open, os.read, os.close
        try:
            for name in names:
                try:
                    fd = opened(name, LOOK_OPEN, dir_fd=top)
                    try:
                        found.append(read(fd, READ_MANY_BYTES))
                    finally:
                        close(fd)
                except OSError as error:
                    found.append(error.errno)
        finally:
            close(top)
        return found

    def link_many(self, folder, names):
        """[bytes or errno] of links, as read_many."""
        name, dir_fd = self._at(folder)
        top = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
        found, readlink = [], os.readlink
        try:
            for name in names:
                try:
                    found.append(readlink(name.encode(), dir_fd=top))
                except OSError as error:
                    found.append(error.errno)
        finally:
            os.close(top)
        return found

    def names(self, path):
        """Names in a directory; raises OSError."""
        name, dir_fd = self._at(path)
        if dir_fd is None:
            return os.listdir(name)
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)


class FolderTree:
    """A snapshot in a folder. Nothing outside it is opened: each component is
    opened from its parent without following links, and only regular files are read."""
    live = False

    def __init__(self, folder):
        self.top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.dirs = {}

    def hold(self, pid):
        """A snapshot does not move."""

    def _dir(self, path):
        """A descriptor of the folder, from a small cache."""
        if path == '':
            return self.top
        fd = self.dirs.get(path)
        if fd is None:
            above, _, name = path.rpartition('/')
            parent = self._dir(above)
            if name in ('', '.', '..'):
                raise OSError(errno.ENOENT, path)
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW,
                         dir_fd=parent)
            if len(self.dirs) > 128:
                self._forget(path)
            self.dirs[path] = fd
        return fd

    def _forget(self, path):
        """Close what is cached and not above path."""
        for other in [d for d in self.dirs if not path.startswith(d + '/')]:
            os.close(self.dirs.pop(other))

    def read(self, path, limit=FILE_LIMIT):
        """Bytes of a regular file; raises OSError (EINVAL for anything else)."""
        above, _, name = path.rpartition('/')
        fd = os.open(name, LOOK_OPEN | os.O_NOFOLLOW, dir_fd=self._dir(above))
        try:
            if not stat_module().S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, path)
            return read_all(fd, min(limit, SNAP_FILE), False)
        finally:
            os.close(fd)

    def link(self, path):
        """Where a link points, as bytes; raises OSError."""
        above, _, name = path.rpartition('/')
        return os.readlink(os.fsencode(name), dir_fd=self._dir(above))

    def names(self, path):
        """Names in a folder; raises OSError."""
        return os.listdir(self._dir(path))


def stat_module():
    """The stat module, imported where it is first needed."""
    import stat
    return stat


class TarTree:
    """A snapshot in a tar, read once into memory and never unpacked to disk.
    Links outside, absolute names, '..', devices and FIFOs are left out; size, number
    and time are bounded, so that a bomb costs no more than SNAP_TOTAL."""
    live = False

    def __init__(self, path):
        self.files, self.links, self.children = {}, {}, {'': set()}
        self.cut = ''
        self._load(path)

    def hold(self, pid):
        """A snapshot does not move."""

    def _load(self, path):
        import tarfile
        fd = os.open(path, LOOK_OPEN)
        with os.fdopen(fd, 'rb') as raw:
            source = BoundedStream(raw)
            try:
                with tarfile.open(fileobj=source, mode='r|', bufsize=1 << 16) as tar:
                    self._members(tar)
            except Exception as error:    # a cut or hostile tar: what was read before it stands
                self.cut = '%s: %s' % (type(error).__name__, error)

    def _members(self, tar):
        kept = 0
        while True:
            member = tar.next()
            tar.members = []
            if member is None:
                return
            kept += 1
            if kept > SNAP_MEMBERS:
                self.cut = 'more than %d members' % SNAP_MEMBERS
                return
            self._member(tar, member)

    def _member(self, tar, member):
        parts = [part for part in member.name.split('/') if part not in ('', '.')]
        if member.name.startswith('/') or '..' in parts or not 0 < len(parts) <= 24:
            return
        path = '/'.join(parts)
        if member.isreg() and not member.issparse():
            if member.size <= SNAP_FILE:
                self.files[path] = tar.extractfile(member).read()
        elif member.issym():
            self.links[path] = member.linkname.encode('utf-8', 'surrogateescape')
        elif not member.isdir():
            return
        for depth in range(len(parts)):
            self.children.setdefault('/'.join(parts[:depth]), set()).add(parts[depth])
        if member.isdir():
            self.children.setdefault(path, set())

    def read(self, path, limit=FILE_LIMIT):
        """Bytes of a member; raises OSError."""
        data = self.files.get(path)
        if data is None:
            raise OSError(errno.EINVAL if path in self.children else errno.ENOENT, path)
        return data[:limit + 1]

    def link(self, path):
        """Where a link points, as bytes; raises OSError."""
        if path not in self.links:
            raise OSError(errno.EINVAL if path in self.files else errno.ENOENT, path)
        return self.links[path]

    def names(self, path):
        """Names in a folder of the tar; raises OSError."""
        if path not in self.children:
            raise OSError(errno.ENOENT, path)
        return list(self.children[path])


class BoundedStream:
    """A tar's bytes, unpacked on the way (gzip, bzip2, xz), with an end to them."""

    def __init__(self, raw):
        head = raw.peek(6)[:6]
        if head[:2] == b'\x1f\x8b':
            import gzip
            raw = gzip.GzipFile(fileobj=raw)
        elif head[:3] == b'BZh':
            import bz2
            raw = bz2.BZ2File(raw)
        elif head == b'\xfd7zXZ\0':
            import lzma
            raw = lzma.LZMAFile(raw)
        self.raw, self.left = raw, SNAP_TOTAL

    def read(self, size):
        """Up to size bytes; raises ValueError past SNAP_TOTAL."""
        if self.left <= 0:
            raise ValueError('more than %d MB' % (SNAP_TOTAL >> 20))
        data = self.raw.read(min(size, self.left))
        self.left -= len(data)
        return data


class BaseTree:
    """Another tree seen from one of its folders; proc_at is where proc/ is there."""

    def __init__(self, tree, base, proc_at):
        self.tree, self.live = tree, False
        self.base, self.proc_at = base, proc_at

    def hold(self, pid):
        """A snapshot does not move."""

    def _at(self, path):
        if self.proc_at is not None and (path == 'proc' or path.startswith('proc/')):
            path = (self.proc_at + path[4:]).lstrip('/')
        return (self.base + path) if path else self.base.rstrip('/')

    def read(self, path, limit=FILE_LIMIT):
        """As the tree below."""
        return self.tree.read(self._at(path), limit)

    def link(self, path):
        """As the tree below."""
        return self.tree.link(self._at(path))

    def names(self, path):
        """As the tree below."""
        return self.tree.names(self._at(path))


def open_tree(root):
    """-> the tree of --root; raises OSError or ValueError (unusable)."""
    if root == '/':
        return LiveTree()
    if os.path.isdir(root):
        tree = FolderTree(root)
    else:
        tree = TarTree(root)
    base = ''
    for _ in range(3):
        names = tree.names(base.rstrip('/'))
        if 'proc' in names:
            return BaseTree(tree, base, None)
        if any(number(name) is not None for name in names):
            return BaseTree(tree, base, '')
        folders = [name for name in names if not name.startswith('.')]
        if len(folders) != 1:
            break
        base += folders[0] + '/'
    raise ValueError(getattr(tree, 'cut', '') or 'no proc folder and no numbered process folder in it')


NUMBER = re.compile(r'[0-9]{1,18}\Z')


class GuardedChild:
    """One forked child that makes the reads which may block for ever. Its standard
    streams are /dev/null, so that a child stuck in D keeps no pipe of ours open. A
    child and not a thread: a thread stuck in D keeps its whole process from exiting."""

    def __init__(self, work):
        sys.stdout.flush()
        sys.stderr.flush()
        ask_r, self.ask = os.pipe()
        self.answer, answer_w = os.pipe()
        widen(answer_w)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._serve(work, ask_r, answer_w)
            finally:
                os._exit(0)
        os.close(ask_r)
        os.close(answer_w)

    def _serve(self, work, ask_r, answer_w):
        """The child's life: a question, an answer, until the pipe closes."""
        import signal
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(sig, signal.SIG_IGN if sig == signal.SIGINT else signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(self.ask)
        os.close(self.answer)
        while True:
            question = receive(ask_r, None)
            if question is None:
                return
            try:
                answer = (0, work(*question))
            except OSError as error:
                answer = (1, errno_name(error))
            except Exception as error:
                answer = (2, '%s: %s' % (type(error).__name__, error))
            send(answer_w, answer)

    def call(self, question, deadline):
        """The answer (kind, value), or None when the deadline passed or it died."""
        try:
            send(self.ask, question)
        except OSError:
            return None
        return receive(self.answer, deadline)

    def leave(self):
        """Kill the child and do not wait for it: it may not be able to die."""
        import signal
        os.close(self.ask)
        os.close(self.answer)
        os.kill(self.pid, signal.SIGKILL)
        time.sleep(0.01)
        self._reap()

    def close(self):
        """Let an idle child end by itself."""
        os.close(self.ask)
        os.close(self.answer)
        for _ in range(50):
            if self._reap():
                return
            time.sleep(0.002)

    def _reap(self):
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except OSError:
            return True


def widen(pipe, size=1 << 18):
    """A pipe of 256 kB: a large answer then takes a quarter of the turns. Where the user's limit forbids it, as it is."""
    import fcntl
    try:
        fcntl.fcntl(pipe, 1031, size)                   # F_SETPIPE_SZ
    except OSError:
        pass


def send(fd, value):
    """A marshalled value with its length before it."""
    import marshal
    data = marshal.dumps(value)
    for part in (struct.pack('<Q', len(data)), data):
        left = memoryview(part)
        while left:
            left = left[os.write(fd, left):]


def receive(fd, deadline):
    """The next value of a pipe; None at its end, or when time.monotonic() passes deadline."""
    import marshal
    head = receive_bytes(fd, 8, deadline)
    if head is None:
        return None
    data = receive_bytes(fd, struct.unpack('<Q', head)[0], deadline)
    return None if data is None else marshal.loads(data)


def receive_bytes(fd, size, deadline):
    """Exactly size bytes of a pipe, or None."""
    data = bytearray(size)
    left = memoryview(data)
    while left:
        if deadline is not None:
            import select
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            if not poll.poll(max(0, int((deadline - time.monotonic()) * 1000))):
                return None
        got = os.readv(fd, [left])
        if not got:
            return None
        left = left[got:]
    return data


class Reader:
    """Reads by virtual path ('proc/45678/stat', 'sys/fs/cgroup/...') and keeps the
    gaps. look is the moment: 0 is the first, later ones are in milliseconds after it.
    The whole report waits for blocked reads at most twice timeout_s."""

    def __init__(self, tree, timeout_s=3.0, show_secrets=False):
        self.tree, self.live = tree, tree.live
        self.timeout_s, self.show_secrets = timeout_s, show_secrets
        self.gaps, self.blocked, self.answers = {}, set(), {}
        self.timeouts, self.waited_s, self.child = 0, 0.0, None
        self.look_ms, self.prefix = 0, ''
        self.record = None
        self.probed = set()
        self.masked = {}
        self.meta = {} if self.live else self._load_meta()
        self.known_gaps = {} if self.live else self._load_gaps()

    # -- what is known besides files

    def _load_meta(self):
        import json
        try:
            meta = json.loads(text(self.tree.read('meta.json', 1 << 24)))
        except (OSError, ValueError, RecursionError):
            return {}
        return meta if isinstance(meta, dict) else {}

    def _load_gaps(self):
        """What the capture could not read: of meta.json, or of an errors.txt."""
        gaps = self.meta.get('gaps')
        if isinstance(gaps, list):          # as capture-script writes them
            gaps = {row.get('path'): row.get('error') for row in gaps if isinstance(row, dict)}
        gaps = {str(k): str(v) for k, v in gaps.items()} if isinstance(gaps, dict) else {}
        for path in [path for path in gaps if not path.startswith(('proc/', 'sys/'))]:
            gaps.setdefault('proc/' + path, gaps[path])
        try:
            lines = text(self.tree.read('errors.txt', 1 << 22)).split('\n')
        except OSError:
            lines = []
        for line in lines:
            path, tab, error = line.partition('\t')
            if tab:
                gaps.setdefault('proc/' + path, error.strip())
        return gaps

    def fact(self, name, live_value=None):
        """A fact of the machine that was read: of this one when live, else of the
        snapshot's meta.json. A replay never asks the machine it runs on."""
        if self.live:
            if name not in self.meta:
                self.meta[name] = live_value() if live_value else None
        return self.meta.get(name)

    def at(self, look_ms):
        """Turn to a later look (milliseconds after the first; 0 is the first)."""
        self.look_ms = look_ms
        self.probed.clear()                 # a second later it may be in an execve
        self.prefix = 'later/%d/' % look_ms if look_ms else ''

    def later_looks(self):
        """The later looks that a snapshot holds, in ms."""
        try:
            names = self.tree.names('later')
        except OSError:
            return []
        return sorted(ms for ms in map(number, names) if ms is not None and 0 < ms < 10 ** 7)

    # -- reading

    def read(self, path, limit=FILE_LIMIT):
        """Bytes, or None and a gap. Secrets in command lines and environments are
        masked here, before anything else sees them."""
        data = self._get('read', path, limit)
        return None if data is None else self._kept(path, data, limit)

    def _kept(self, path, data, limit):
        """What was read, cut, masked and recorded."""
        if len(data) > limit:
            self.gaps.setdefault(path, 'CUT')
            data = data[:limit]
        data = self._masked(path, data)
        if self.record is not None:
            self.record[self.prefix + path] = data
        return data

    def link(self, path):
        """A link's text, or None and a gap."""
        data = self._get('link', path)
        return None if data is None else self._linked(path, data)

    def _linked(self, path, data):
        if self.record is not None:
            self.record[self.prefix + path] = (data,)
        return text(data)

    def read_many(self, folder, names):
        """[bytes or None] of small files of one live folder, in the guarded child, with gaps and record as read() has them."""
        return self._many('read_many', folder, names)

    def link_many(self, folder, names):
        """[str or None] of links, as read_many."""
        found = self._many('link_many', folder, names)
        return [text(data) if isinstance(data, bytes) else data for data in found]

    def _many(self, op, folder, names, share=2000):
        if not self.live:
            return [getattr(self, op[:4])(folder + '/' + name) for name in names]
        found = []
        for start in range(0, len(names), share):
            some = names[start:start + share]
            rows = self._guarded('exec:' + folder.split('/')[1], folder, (op, folder, some))
            if rows is None:
                error = self.gaps.get(folder, 'EIO')
                for name in names[start:]:
                    self._gap(folder + '/' + name, error)
                return found + [None] * (len(names) - start)
            for name, data in zip(some, rows):
                if isinstance(data, int):
                    data = self._gap(folder + '/' + name, errno.errorcode.get(data, 'errno %d' % data))
                elif self.record is not None:
                    self.record[self.prefix + folder + '/' + name] = (data,) if op == 'link_many' else data
                found.append(data)
        return found

    def together(self, op, paths, share=64, limit_s=0.5):
        """[read(path) or link(path)] of files of many processes. Live a share of them is one question to the child; where one of
        a share blocks, those are asked for one by one."""
        found = []
        for start in range(0, len(paths), share):
            some, rows = paths[start:start + share], {}
            if self.live and self.patience() is not None:
                free = [path for path in some if self._lock_of(op, path) not in self.blocked]
                kind, datas = self._ask_child(('each', op, free), min(limit_s, self.patience() / 2)) or (2, None)
                rows = {} if kind else dict(zip(free, datas))
            for path in some:
                data = rows.get(path)
                if data is None:
                    data = getattr(self, op)(path)
                elif isinstance(data, int):
                    data = self._gap(path, errno.errorcode.get(data, 'errno %d' % data))
                elif op == 'link':
                    data = self._linked(path, data)
                else:
                    data = self._kept(path, data, FILE_LIMIT)
                found.append(data)
        return found

    def names(self, path):
        """Names in a directory, or None and a gap."""
        names = self._get('names', path)
        if names is not None and self.record is not None and not names:
            self.record[self.prefix + path] = []
        return names

    def pids(self, path='proc'):
        """The numbers among the names of a directory, ascending; None and a gap."""
        names = self.names(path)
        if names is None:
            return None
        return sorted(map(int, filter(NUMBER.match, names)))

    def _masked(self, path, data):
        name = path.rpartition('/')[2]
        if self.show_secrets or name not in ('cmdline', 'environ'):
            return data
        if path == 'proc/cmdline':
            return redact_text(text(data)).encode('utf-8', 'surrogateescape')
        if name == 'environ':
            return redact_environ(data)
        if data not in self.masked:             # the workers of a service are all called the same
            if len(self.masked) > 200:
                self.masked.clear()
            self.masked[data] = redact_cmdline(data)
        return self.masked[data]

    def _get(self, op, path, *rest):
        path_now = self.prefix + path if not self.live else path
        if not self.live and path_now in self.known_gaps:
            return self._gap(path, self.known_gaps[path_now])
        lock = self._lock_of(op, path)
        if lock:
            return self._guarded(lock, path, (op, path_now) + rest)
        try:
            return getattr(self.tree, op)(path_now, *rest)
        except OSError as error:
            return self._gap(path, 'ENOENT' if not self.live and error.errno in (errno.ENOTDIR, errno.ELOOP) else errno_name(error))
        except ValueError:                       # a name with a NUL
            return self._gap(path, 'EINVAL')

    def _gap(self, path, error):
        """Note why a first look found nothing; later looks only fill what moves."""
        if not self.live and error == 'ENOENT' and self.prefix + path not in self.known_gaps:
            if isinstance(self.meta.get('gaps'), dict) or '/root/' in path:
                return None             # a capture lists its gaps: what is in neither was not there, or not asked for
            error = 'ABSENT'
        if not self.look_ms or error == 'TIMEOUT':
            self.gaps.setdefault(path, error)
        return None

    # -- guarded reads

    def _lock_of(self, op, path):
        """Which lock a read may block on: '' is none."""
        if not self.live:
            return ''
        parts = path.split('/')
        if len(parts) < 3 or parts[0] != 'proc':
            return ''
        name = parts[-1]
        if parts[2] == 'root' and len(parts) > 3:
            return 'root:' + parts[1]
        if name in MM_LOCKED and number(parts[1]) is not None:
            return 'mm:' + parts[1]
        if name in EXEC_LOCKED or op == 'link' and number(parts[1]) is not None:
            lock = 'exec:' + parts[1]       # the links too: fd/N, ns/N, exe, cwd, root wait for exec_update_lock from 6.18 on
            if lock in self.blocked or parts[1] not in self.probed:
                return lock
        return ''

    def _guarded(self, lock, path, question):
        if lock in self.blocked or self.patience() is None:
            return self._gap(path, 'TIMEOUT')
        answer = self._ask_child(question)
        if answer is None:
            self.blocked.add(lock)
            return self._gap(path, 'TIMEOUT')
        if lock.startswith('exec:'):
            self.probed.add(lock[5:])
        kind, value = answer
        if kind:
            return self._gap(path, value if kind == 1 else 'EIO')
        return value

    def patience(self):
        """How long the next read may block: --timeout at first, then half of what is left of the two, and None when that
        is next to nothing. So the third and fifth hung process of a scan are still found, and two timeouts bound it all."""
        left = 2 * self.timeout_s - self.waited_s
        return self.timeout_s if not self.timeouts else left / 2 if left > 0.1 * self.timeout_s else None

    def _ask_child(self, question, timeout_s=None):
        """(kind, value), or None: it blocked, and the child is left behind."""
        for _ in range(2):
            if self.child is None:
                self.child = GuardedChild(self._work)
            started = time.monotonic()
            limit_s = timeout_s or self.patience() or 0.0
            answer = self.child.call(question, started + limit_s)
            if answer is not None:
                return answer
            self.child.leave()
            self.child = None
            if time.monotonic() - started >= limit_s * 0.9:
                self.timeouts += 1
                self.waited_s += time.monotonic() - started
                return None
        return (2, 'the reading child died')

    def _work(self, op, *args):
        """In the child: one read of the tree, or one function of this file."""
        if op == 'call':
            return globals()[args[0]](*args[1])
        if op == 'each':
            return [each_or_errno(getattr(self.tree, args[0]), path) for path in args[1]]
        return getattr(self.tree, op)(*args)

    def ask(self, key, function_name, *args, **how):
        """What is in no file of /proc or /sys: a function of this file, run in the
        guarded child, its plain result recorded under key and answered from the
        record in a replay. None where it failed (a gap by key says why). lock='mm:PID': it reads the
        memory of that process, so that one read which blocked stands for all."""
        if not self.live:
            answers = self.meta.get('answers')
            self.answers[key] = from_json(answers.get(key)) if isinstance(answers, dict) else None
            if key in self.known_gaps:
                self._gap(key, self.known_gaps[key])
            return self.answers[key]
        if key not in self.answers:
            lock = how.get('lock')
            if self.patience() is None or lock in self.blocked:
                self.answers[key] = self._gap(key, 'TIMEOUT')
            else:
                answer = self._ask_child(('call', function_name, args))
                if answer is None and lock:
                    self.blocked.add(lock)
                kind, value = answer if answer is not None else (1, 'TIMEOUT')
                self.answers[key] = self._gap(key, value if kind == 1 else 'EIO') if kind else value
                if kind == 2 and os.environ.get('PROCDOC_DEBUG'):
                    sys.stderr.write('procdoc: %s: %s\n' % (key, value))
        return self.answers[key]

    def hold(self, pid):
        """Hold the process; False and a gap when there is none."""
        try:
            self.tree.hold(pid)
            return True
        except OSError as error:
            self._gap('proc/%d' % pid, errno_name(error))
            return False

    def close(self):
        """End the idle child."""
        if self.child is not None:
            self.child.close()
            self.child = None


def to_json(value):
    """A plain value for meta.json: bytes as {"hex": ...}, other dict keys as pairs."""
    if isinstance(value, bytes):
        return {'hex': value.hex()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {'pairs': [[to_json(k), to_json(v)] for k, v in value.items()]}
    if isinstance(value, str):
        return value.encode('utf-8', 'surrogateescape').decode('utf-8', 'replace')
    return value


def from_json(value):
    """The way back; lists come back as lists. Garbage comes back as garbage or None."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        try:
            if 'hex' in value:
                return bytes.fromhex(value['hex'])
            return {hashable(from_json(k)): from_json(v) for k, v in value['pairs']}
        except (KeyError, TypeError, ValueError):
            return None
    return value


def hashable(value):
    """A dict key again."""
    return tuple(map(hashable, value)) if isinstance(value, list) else value


# ROOM TARGET MEMORY =========================================================
# what is mapped in the target, its ELF files and their symbols, and words of its memory.
#
# All of this runs inside the guarded child, for each of these reads may block for ever: the mmap lock may be held, an ELF
# file may lie on a dead server. Nothing here writes, stops or signals. The rules:
#   - mappings of /dev/* are never read: reading device memory may have effects;
#   - of a file on a remote or user-space file system only private written-to segments are read through mem; its code and
#     symbols come from the file itself, which a killed child can give up on;
#   - every read counts against a bound of time and number (Enough), and what is not readable is Unreadable, not a guess.
# To add an architecture: a row of MACHINES, after checking that the layouts that stand on it hold there.

MACHINES = {62: 'x86_64', 183: 'aarch64'}                # e_machine of 64-bit little-endian targets
CACHE_PAGE = 4096                                       # granule of the cache; real pages are this or a multiple of it
REMOTE_FILESYSTEMS = re.compile(r'^(fuse|nfs|cifs|smb|9p|ceph|afs|lustre|gfs|ocfs|orangefs|virtiofs|vboxsf|pvfs|ncp|coda)')
NOT_MEMORY = ('/dev/', '/sys/', '/proc/', 'anon_inode:', '/dmabuf', '[vvar', '[vsyscall')


class Unreadable(Exception):
    """That address cannot be read: not mapped, not for us, or the page is gone."""


class Enough(Exception):
    """The bound of time or of reads was met."""


def live_task(pid):
    """'/proc/PID', or '/proc/PID/task/TID' of a live thread where the leader is a zombie: its maps are then empty."""
    top = '/proc/%d' % pid
    if read_whole(top + '/maps', 4096):
        return top
    try:
        tids = sorted(int(name) for name in os.listdir(top + '/task') if name.isdigit())
    except OSError:
        return top
    for tid in tids[:64]:
        task = '%s/task/%d' % (top, tid)
        if tid != pid and read_whole(task + '/maps', 4096):
            return task
    return top


def read_whole(path, limit=1 << 24):
    """The bytes of a file of /proc, b'' where it cannot be read."""
    try:
        with open(path, 'rb', 0) as source:
            return source.read(limit) if limit <= 4096 else source.readall()[:limit]
    except OSError:
        return b''


def maps_of(task):
    return parse_maps(read_whole(task + '/maps'))


def remote_devices(task):
    """{'MAJ:MIN'} of mounted file systems whose pages a server or a user's program must answer for."""
    found = set()
    for line in read_whole(task + '/mountinfo').split(b'\n'):
        left, dash, right = line.partition(b' - ')
        words = left.split()
        if dash and len(words) > 2 and REMOTE_FILESYSTEMS.match(text(right.split(b' ')[0])):
            major, _, minor = text(words[2]).partition(':')
            found.add((number(major), number(minor)))
    return found


def device(word):
    """(major, minor) of a mapping's 'fe:00', which is hexadecimal where mountinfo's is decimal."""
    major, _, minor = word.partition(':')
    return number(major, 16), number(minor, 16)


class Memory:
    """Words of a target's memory through a cache of pages; one open file, one bound for all views on it.

    A page is read once, with its neighbour in the same read, so that what lies together (the frames of a thread from
    CPython 3.11 on) is of one moment. `fresh` gives a view with an empty cache, for looking again.
    """

    def __init__(self, task, mappings, deadline, reads=200000):
        self.file = os.open(task + '/mem', os.O_RDONLY | os.O_CLOEXEC)
        self.deadline = deadline
        self.left = [reads]                             # shared by all views
        self.mappings = sorted(mappings)
        self.starts = [mapping.start for mapping in self.mappings]
        self.remote, self.allowed = remote_devices(task), {}
        self.pages = {}

    def close(self):
        os.close(self.file)

    @staticmethod
    def may_read(mapping, remote):
        """Not device memory, not the kernel's own pages, not unwritten pages that a server would have to bring. Shared memory
        is called /dev/zero (anonymous) and /dev/shm/NAME, and is none of these."""
        if 'r' not in mapping.perms:
            return False
        if mapping.path.startswith(NOT_MEMORY) and not mapping.path.startswith(('/dev/shm/', '/dev/zero')):
            return False
        if mapping.inode and device(mapping.dev) in remote:
            return mapping.perms[1:2] == 'w' and mapping.perms[3:4] == 'p'
        return True

    def fresh(self):
        view = object.__new__(Memory)
        view.__dict__.update(self.__dict__)
        view.pages = {}
        return view

    def mapping_at(self, address):
        """Index of the mapping that holds the address and may be read, or None."""
        low, high = 0, len(self.starts)
        while low < high:                               # bisect, which is not worth an import
            middle = (low + high) // 2
            if self.starts[middle] <= address:
                low = middle + 1
            else:
                high = middle
        found = low - 1
        if found < 0 or address >= self.mappings[found].end:
            return None
        if found not in self.allowed:
            self.allowed[found] = self.may_read(self.mappings[found], self.remote)
        return found if self.allowed[found] else None

    def pread(self, address, length):
        """Straight from the target, b'' where there is nothing: EIO is a missing page, ESRCH and 0 bytes its end."""
        self.left[0] -= 1
        if self.left[0] < 0 or time.monotonic() > self.deadline:
            raise Enough()
        try:
            return os.pread(self.file, length, address)
        except (OSError, OverflowError):
            return b''

    def load(self, key):
        """The page, read with the page beside it where that is of the same mapping."""
        address = key * CACHE_PAGE
        found = self.mapping_at(address)
        if found is None:
            self.pages[key] = b''
            return b''
        low = max(self.mappings[found].start, address & -2 * CACHE_PAGE)
        high = min(self.mappings[found].end, (address & -2 * CACHE_PAGE) + 2 * CACHE_PAGE)
        data = self.pread(low, high - low)
        if len(data) < high - low and high - low > CACHE_PAGE:
            low, data = address, self.pread(address, CACHE_PAGE)
        for at in range(0, len(data), CACHE_PAGE):
            self.pages[(low + at) // CACHE_PAGE] = data[at:at + CACHE_PAGE]
        return self.pages.setdefault(key, b'')

    def page(self, address):
        """The cached page of an address and the offset in it."""
        key = address >> 12
        page = self.pages.get(key)
        return (self.load(key) if page is None else page), address & 4095

    def read(self, address, length):
        """`length` bytes, all of them, or Unreadable."""
        page, at = self.page(address)
        data = page[at:at + length]
        while len(data) < length:
            if (address + len(data)) & 4095 or not data:
                raise Unreadable()
            page, _ = self.page(address + len(data))
            if not page:
                raise Unreadable()
            data += page[:length - len(data)]
        return data

    def exactly(self, address, length):
        """read(), past the cache where one mapping holds it all: a word of each of 2,000 stacks is no reason to hold their pages."""
        found = self.mapping_at(address)
        if found is not None and address + length <= self.mappings[found].end:
            data = self.pread(address, length)
            if len(data) == length:
                return data
        return self.read(address, length)

    def unpack(self, form, address):
        """A struct.Struct read at an address: the usual case is one slice of a cached page."""
        page, at = self.page(address)
        if at + form.size <= len(page):
            return form.unpack_from(page, at)
        return form.unpack(self.read(address, form.size))

    def word(self, address):
        return self.unpack(WORD, address)[0]

    def int32(self, address):
        return self.unpack(INT32, address)[0]

    def words(self, address, count):
        return struct.unpack('<%dQ' % count, self.read(address, 8 * count)) if count > 0 else ()

    def cstring(self, address, limit=200):
        """Bytes up to the NUL."""
        data = b''
        while b'\0' not in data and len(data) < limit:
            step = min(64, CACHE_PAGE - (address + len(data)) % CACHE_PAGE)
            data += self.read(address + len(data), step)
        return data.partition(b'\0')[0]


WORD, INT32 = struct.Struct('<Q'), struct.Struct('<i')


def memory_words_twice(pid, wanted, seconds=4.0):
    """For the guarded child: [(address, length)] -> two looks, the second begun after the last word of the first, each
    [(address, bytes or None)]. Each word is read alone, a short read is None."""
    task = live_task(pid)
    try:
        memory = Memory(task, mappings_of(read_whole(task + '/maps'), wanted), time.monotonic() + seconds)
    except OSError:
        return [[(address, None) for address, _ in wanted]] * 2
    looks = []
    for view in (memory, memory.fresh()):
        found = []
        for address, length in wanted:
            try:
                found.append((address, view.exactly(address, length) if 0 < length <= 65536 else None))
            except (Unreadable, Enough):
                found.append((address, None))
        looks.append(found)
    memory.close()
    return looks


def mappings_of(data, wanted):
    """The Mappings that hold [(address, length)] out of maps: of 20,000 a few matter, and decoding all takes ten times as long."""
    lines = set()
    for address, length in wanted:
        for page in range(address & -CACHE_PAGE, address + min(max(length, 1), 65536), CACHE_PAGE):
            low, high, found = 0, len(data), None
            while low < high:                           # the last line that starts at or below the page
                line = data.rfind(b'\n', low, (low + high) // 2) + 1 or low
                if (number(data[line:data.find(b'-', line, line + 20)], 16) or 0) <= page:
                    found, low = line, data.find(b'\n', line) + 1 or len(data)
                else:
                    high = line
            if found is not None:
                lines.add(data[found:data.find(b'\n', found) + 1 or len(data)].rstrip(b'\n'))
    return parse_maps(b'\n'.join(lines))


# --- ELF

Segment = NamedTuple('Segment', [('type', int), ('flags', int), ('offset', int), ('vaddr', int), ('filesz', int), ('memsz', int)])
Section = NamedTuple('Section', [('name', bytes), ('type', int), ('address', int), ('offset', int), ('size', int), ('link', int)])
PT_LOAD, PT_DYNAMIC = 1, 2
SHT_SYMTAB, SHT_DYNSYM = 2, 11


class Elf:
    """One ELF file, read piece by piece with `read(offset, length)`; only what is asked for is read.

    `wrong` is a sentence where the file is of no use (32 bits, big-endian, another architecture), else ''.
    """

    def __init__(self, read):
        self.read, self.slide = read, 0
        self.wrong, self.machine, self.segments, self.sections = '', '', [], []
        head = read(0, 64)
        if len(head) < 64 or head[:4] != b'\x7fELF':
            self.wrong = 'no ELF file'
            return
        machine = struct.unpack_from('<H', head, 18)[0]
        if head[4] != 2:
            self.wrong = 'a 32-bit program'
        elif head[5] != 1 or machine not in MACHINES:
            self.wrong = 'a program for another architecture (ELF machine %d)' % machine
        else:
            self.machine = MACHINES[machine]
            self.read_tables(head)

    def read_tables(self, head):
        phoff, shoff = struct.unpack_from('<QQ', head, 32)
        phentsize, phnum, shentsize, shnum, shstrndx = struct.unpack_from('<5H', head, 54)
        data = self.read(phoff, 56 * min(phnum, 512)) if phentsize == 56 else b''
        for at in range(0, len(data) - 55, 56):
            kind, flags, offset, vaddr, _, filesz, memsz, _ = struct.unpack_from('<IIQQQQQQ', data, at)
            self.segments.append(Segment(kind, flags, offset, vaddr, filesz, memsz))
        data = self.read(shoff, 64 * shnum) if shentsize == 64 and shoff else b''
        rows = [struct.unpack_from('<IIQQQQII', data, at) for at in range(0, len(data) - 63, 64)]
        if shstrndx < len(rows):
            names = self.read(rows[shstrndx][4], min(rows[shstrndx][5], 1 << 20))
            for name, kind, _, address, offset, size, link, _ in rows:
                self.sections.append(Section(names[name:names.find(b'\0', name)], kind, address, offset, size, link))

    def section(self, name):
        for section in self.sections:
            if section.name == name:
                return section
        return None

    def at(self, vaddr, length):
        """Bytes of the file that are loaded at a virtual address, b'' where none are (.bss)."""
        for segment in self.segments:
            if segment.type == PT_LOAD and segment.vaddr <= vaddr < segment.vaddr + segment.filesz:
                length = min(length, segment.vaddr + segment.filesz - vaddr)
                return self.read(segment.offset + vaddr - segment.vaddr, length)
        return b''

    def symbol_tables(self, deep):
        """(symbols, names) as bytes: .dynsym, or what PT_DYNAMIC names where sections were cut off; if deep .symtab, which may
        be a hundred times as large."""
        seen = False
        for kind in (SHT_DYNSYM, SHT_SYMTAB)[:2 if deep else 1]:
            for section in self.sections:
                if section.type == kind and section.link < len(self.sections):
                    names = self.sections[section.link]
                    seen = seen or kind == SHT_DYNSYM
                    yield (self.read(section.offset, min(section.size, 1 << 26)),
                           self.read(names.offset, min(names.size, 1 << 26)))
        if not seen:
            yield self.dynamic_symbols()

    def dynamic_symbols(self):
        """By PT_DYNAMIC (5 DT_STRTAB, 6 DT_SYMTAB, 10 DT_STRSZ); the strings follow the symbols in all linkers' files.

        In memory glibc has already added the load bias to these pointers (musl has not): `slide` is taken off again.
        """
        tags = {}
        for segment in self.segments:
            if segment.type == PT_DYNAMIC:
                data = self.at(segment.vaddr, min(segment.filesz, 1 << 14))
                tags = dict(struct.iter_unpack('<QQ', data[:len(data) & -16]))
        strings, symbols, size = tags.get(5, 0), tags.get(6, 0), tags.get(10, 0)
        if self.slide and symbols >= self.slide:
            strings, symbols = strings - self.slide, symbols - self.slide
        if not symbols < strings < symbols + (1 << 26):
            return b'', b''
        return self.at(symbols, strings - symbols), self.at(strings, min(size, 1 << 26))

    def symbol(self, name, deep=False):
        """Virtual address of a defined symbol, or None: the name is sought in the strings, then its offset in the symbols."""
        for symbols, names in self.symbol_tables(deep):
            found = names.find(b'\0' + name + b'\0') + 1
            wanted = struct.pack('<I', found)
            at = symbols.find(wanted) if found else -1
            while at >= 0:
                if at % 24 == 0 and at + 24 <= len(symbols):
                    section, value = struct.unpack_from('<HQ', symbols, at + 6)
                    if section and value:
                        return value
                at = symbols.find(wanted, at + 1)
        return None

    def bias(self, mappings, page):
        """What to add to a virtual address, or None.

        The PT_LOAD whose page-rounded offset is the mapping's AND whose x flag is the mapping's: files linked by lld share
        pages between segments, so "the offset lies within" is wrong.
        """
        for mapping in mappings:
            for segment in self.segments:
                if (segment.type == PT_LOAD and segment.offset & -page == mapping.offset
                        and bool(segment.flags & 1) == (mapping.perms[2:3] == 'x')):
                    return mapping.start - (segment.vaddr & -page)
        return None


def open_mapped(task, mapping):
    """A descriptor of the file that is mapped there, or None.

    In this order: exe (works when deleted, and in other mount namespaces), map_files (the same for libraries, needs a
    capability), the path below the target's root. Each is taken only if its inode is the one in maps; the device is not
    compared, for overlay and btrfs show another one in maps than in stat.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    by_path = '%s/root%s' % (task, mapping.path.replace('\\012', '\n'))
    for path, extra in ((task + '/exe', 0), ('%s/map_files/%x-%x' % (task, mapping.start, mapping.end), 0),
                        (by_path, os.O_NOFOLLOW)):
        try:
            found = os.open(path, flags | extra)
        except (OSError, ValueError):
            continue
        status = os.fstat(found)
        if status.st_ino == mapping.inode and status.st_mode & 0o170000 == 0o100000:
            return found
        os.close(found)
    return None


def file_reader(descriptor):
    """read(offset, length) of an open file; b'' past its end or where the file system says no."""
    def read(offset, length):
        try:
            return os.pread(descriptor, length, offset)
        except (OSError, OverflowError, ValueError):
            return b''
    return read


def loaded_reader(memory, mappings):
    """The same of a file that can no longer be opened, from where it is mapped: enough for PT_DYNAMIC's symbols."""
    def read(offset, length):
        for mapping in mappings:
            if mapping.offset <= offset < mapping.offset + mapping.end - mapping.start:
                length = min(length, mapping.offset + mapping.end - mapping.start - offset)
                try:
                    return memory.read(mapping.start + offset - mapping.offset, length)
                except Unreadable:
                    return b''
        return b''
    return read


def load_elf(task, memory, mappings):
    """(Elf, load bias, descriptor to close or None) of one mapped file, given its mappings; bias None: not matched."""
    page = os.sysconf('SC_PAGESIZE')                    # of the live machine: this runs in the guarded child
    descriptor = open_mapped(task, mappings[0])
    if descriptor is not None:
        elf = Elf(file_reader(descriptor))
    else:
        elf = Elf(loaded_reader(memory, mappings))
    bias = elf.bias(mappings, page)
    elf.slide = 0 if descriptor is not None else bias or 0
    return elf, bias, descriptor


# ROOM PYTHON ================================================================
# the stacks, the GIL, the lock waits and the asyncio tasks of a CPython process, from its memory alone.
#
# python_stacks runs in the guarded child and answers with plain values. It stops nobody: a process that hangs stands still
# anyway, and a thread that runs is read again until two looks agree, else it is marked `moving`. Each pointer is believed
# only after a check (a thread points back to its interpreter, a code object's type is `code`), and every failure ends in
# "not known". To add a CPython version: to 3.12 a column of PYTHON_LAYOUTS; from 3.13 on a row of DEBUG_OFFSETS, which
# names the fields that the runtime itself publishes; the line tables are in LINE TABLES below.

PYTHON_MINORS = (6, 7, 8, 9, 10, 11, 12)
PYTHON_LAYOUTS = (
    # Offsets of LP64 builds, -1 where that version has no such field. They come before any field that varies by machine.
    # field            3.6   3.7   3.8   3.9  3.10  3.11  3.12
    ('head',          (0,     24,   32,   32,   32,   40,   40)),   # in _PyRuntime; 3.6 has the variable interp_head
    ('interp_id',     (-1,    16,   16,   24,   24,   48,    8)),
    ('interp_next',   (0,      0,    0,    0,    0,    0,    0)),
    ('interp_ts',     (8,      8,    8,    8,    8,   16,   72)),   # its first thread state
    ('modules',       (16,    40,   56,  856,  856,  888,  944)),   # sys.modules
    ('ts_next',       (8,      8,    8,    8,    8,    8,    8)),
    ('ts_interp',     (16,    16,   16,   16,   16,   16,   16)),
    ('ts_frame',      (24,    24,   24,   24,   24,   56,   56)),   # 3.11, 3.12: of the C frame that has the frame
    ('cframe_frame',  (-1,    -1,   -1,   -1,   -1,    8,    0)),
    ('ts_ident',      (152,  176,  176,  176,  176,  152,  136)),   # pthread_t
    ('ts_native',     (-1,    -1,   -1,   -1,   -1,  160,  144)),   # gettid()
    ('ts_delete',     (184,  208,  208,  208,  208,  192,  176)),   # weak reference to the lock that join() waits for
    ('f_back',        (24,    24,   24,   24,   24,   48,    8)),
    ('f_code',        (32,    32,   32,   32,   32,   32,    0)),
    ('f_instr',       (120,  104,  104,  104,   96,   56,   56)),   # to 3.10 an int, then a pointer
    ('f_owner',       (-1,    -1,   -1,   -1,   -1,   -1,   70)),   # 3 and above: a frame of the interpreter's own
    ('f_stack',       (64,    64,   64,   64,   64,   -1,   -1)),   # pointer to the value stack's bottom
    ('f_iblock',      (128,  112,  112,  112,  104,   -1,   -1)),   # number of open blocks (12 bytes each: type, handler, level)
    ('f_blocks',      (136,  120,  120,  120,  112,   -1,   -1)),
    ('f_locals',      (376,  360,  360,  360,  352,   72,   72)),
    ('f_top',         (-1,    -1,   -1,   -1,   -1,   -1,   -1)),   # 3.14: the stack pointer, saved before each call
    ('f_tlbc',        (-1,    -1,   -1,   -1,   -1,   -1,   -1)),   # 3.14 free-threaded: which copy of the bytecode runs
    ('c_filename',    (96,    96,  104,  104,  104,  112,  112)),
    ('c_name',        (104,  104,  112,  112,  112,  120,  120)),
    ('c_qualname',    (-1,    -1,   -1,   -1,   -1,  128,  128)),
    ('c_first',       (36,    36,   40,   40,   40,   72,   68)),
    ('c_lines',       (112,  112,  120,  120,  120,  136,  136)),
    ('c_nlocals',     (24,    24,   28,   28,   28,   76,   72)),   # 3.11 on: with cells and free variables
    ('c_stacksize',   (28,    28,   32,   32,   32,   68,   64)),
    ('c_code',        (40,    40,   48,   48,   48,  184,  192)),   # to 3.10 a bytes object, then the bytecode itself
    ('c_tlbc',        (-1,    -1,   -1,   -1,   -1,   -1,   -1)),
    ('gil',           (-1,  1264, 1152,  352,  352,  360,  384)),   # in _PyRuntime; 3.12 on: a pointer in the interpreter
    ('gil_holder',    (8,      8,    8,    8,    8,    8,    8)),
    ('gil_locked',    (16,    16,   16,   16,   16,   16,   16)),
    ('gil_enabled',   (-1,    -1,   -1,   -1,   -1,   -1,   -1)),
    ('ascii',         (48,    48,   48,   48,   48,   48,   40)),   # sizeof PyASCIIObject: where an ASCII string's bytes are
    ('wide',          (72,    72,   72,   72,   72,   72,   56)),   # sizeof PyCompactUnicodeObject: where the others' are
    ('kind_bit',      (2,      2,    2,    2,    2,    2,    2)),   # in str.state: kind:3, compact:1, ascii:1
    ('object',        (16,    16,   16,   16,   16,   16,   16)),   # sizeof PyObject
    ('ob_type',       (8,      8,    8,    8,    8,    8,    8)),
    ('g_frame',       (16,    16,   16,   16,   16,   80,   72)),   # of a generator: pointer to its frame, from 3.11 on the frame
    ('g_state',       (24,    24,   24,   24,   -1,   75,   67)),   # to 3.9 whether it runs, from 3.11 on the frame's state
    ('f_state',       (-1,    -1,   -1,   -1,  108,   -1,   -1)),   # 3.10: the same in the frame
    ('f_height',      (72,    72,   72,   72,   80,   64,   64)),   # while suspended: to 3.9 pointer to the top of the value stack,
                                                                    # 3.10 its height, from 3.11 on with the variables below it
    ('cached_keys',   (-1,    -1,   -1,   -1,   -1,  872,  880)),   # of a class: the attribute names that its instances share
)
Layout = collections.namedtuple('Layout', [name for name, _ in PYTHON_LAYOUTS] + ['minor', 'free'])

# The fields of _Py_DebugOffsets, all u64, in order after the cookie, the version and free_threaded; '.' is of no use here.
# Its own layout changes per minor version. A '*N' skips N fields.
DEBUG_OFFSETS = {
    13: '*2 head . interp_id interp_next interp_ts . modules *2 gil_pointer gil gil_enabled gil_locked gil_holder'
        ' *2 ts_next ts_interp ts_frame ts_ident ts_native *2 . f_back f_code f_instr f_locals f_owner'
        ' . c_filename c_name c_qualname c_lines c_first *3 c_code . ob_type . tp_name *19 . . . ascii',
    14: '*2 head . interp_id interp_next interp_ts *2 modules *2 gil_pointer gil gil_enabled gil_locked gil_holder *2'
        ' *2 ts_next ts_interp ts_frame ts_ident ts_native *2 . f_back f_code f_instr f_locals f_owner f_top f_tlbc'
        ' . c_filename c_name c_qualname c_lines c_first *3 c_code c_tlbc . ob_type . tp_name *23 . . . ascii',
}
FUTEX_NUMBER = {'x86_64': 202, 'aarch64': 98}
GIL_SIZE = 216                                          # two conditions and two mutexes behind its first four fields
FRAME_LIMIT = 2000                                      # innermost frames of a deeper recursion
TID_OFFSETS = (720, 48, 208)                            # glibc x86-64, musl, glibc aarch64: tried before any other offset
PYTHON_PATH = re.compile(r'(^|/)(lib)?python[23]?(\.\d+)?[a-z]*(-[\w.-]+)?(\.so[\d.]*)?$|cpython-3\d+|/lib-dynload/')


class Torn(Exception):
    """What was read does not fit together: it changed while it was read, or was never what we took it for."""


class NotKnown(Exception):
    """A sentence that says why there are no stacks."""


Code = NamedTuple('Code', [('name', str), ('shown', str), ('file', str), ('first', int), ('lines', bytes), ('address', int),
                           ('nlocals', int), ('stacksize', int)])
Frame = NamedTuple('Frame', [('address', int), ('code', int), ('lasti', int)])
PyThread = NamedTuple('PyThread', [('state', int), ('interp', int), ('number', int), ('ident', int), ('native', int),
                                   ('lock', int)])


def find_python(mappings, exe):
    """Whether the process looks like CPython, from names alone: cheap, and true for programs that embed it.

    Not seen by it: a program with CPython linked in statically that has loaded no extension module and is not called python.
    """
    if PYTHON_PATH.search((exe or '').replace(' (deleted)', '')):
        return True
    return any(PYTHON_PATH.search(mapping.path.replace(' (deleted)', '')) for mapping in mappings if mapping.inode)


# --- the runtime: which file, which version, where

CPython = NamedTuple('CPython', [('elf', Elf), ('bias', int), ('path', str), ('paths', list), ('machine', str)])


def python_files(mappings, exe):
    """Mapped files as lists of their mappings: the executable first, then what is called python, then the other code."""
    files = collections.OrderedDict()
    for mapping in mappings:
        if mapping.inode and mapping.path.startswith('/') and not mapping.path.startswith('/dev/'):
            files.setdefault((mapping.dev, mapping.inode), []).append(mapping)

    def rank(rows):
        name = rows[0].path.rpartition('/')[2]
        return 0 if rows[0].path == exe else 1 if 'libpython' in name else 2 if 'python' in name and 'cpython-' not in name else 3
    code = [rows for rows in files.values() if any('x' in row.perms for row in rows)]
    return sorted(code, key=rank)[:40]


def open_runtime(task, memory, mappings):
    """The CPython of the first file that has CPython in it, or None. Its descriptor stays open: the child is short-lived."""
    try:
        exe = os.readlink(task + '/exe')
    except OSError:
        exe = ''
    for rows in python_files(mappings, exe):
        elf, bias, descriptor = load_elf(task, memory, rows)
        named = PYTHON_PATH.search(rows[0].path.replace(' (deleted)', ''))
        if elf.wrong and elf.wrong != 'no ELF file' and named:
            raise NotKnown('%s is %s: reading its Python stacks is not done' % (rows[0].path, elf.wrong))
        if bias is not None and not elf.wrong:
            for name in (b'_PyRuntime', b'_PyThreadState_Current'):
                if elf.symbol(name, deep=bool(named)) is not None:
                    return CPython(elf, bias, rows[0].path, [mapping.path for mapping in mappings], elf.machine)
            if elf.section(b'.PyRuntime'):
                return CPython(elf, bias, rows[0].path, [mapping.path for mapping in mappings], elf.machine)
        if descriptor is not None:
            os.close(descriptor)
    return None


def runtime_address(runtime):
    """Address of _PyRuntime (3.7 on) or None."""
    value = runtime.elf.symbol(b'_PyRuntime', deep=True)
    if value is None and runtime.elf.section(b'.PyRuntime'):
        value = runtime.elf.section(b'.PyRuntime').address
    return None if value is None else value + runtime.bias


def python_version(memory, runtime, address):
    """(minor, '3.11.7', free-threaded): 3.13 on from the debug offsets, 3.11 on from Py_Version, before from the text of
    PY_VERSION among the constants, or else from a mapped path."""
    if address is not None:
        head = memory.read(address, 24)
        if head[:8] == b'xdebugpy':
            version, free = struct.unpack_from('<QQ', head, 8)
            return version >> 16 & 255, version_text(version), bool(free)
    value = runtime.elf.symbol(b'Py_Version')
    data = runtime.elf.at(value, 4) if value is not None else b''
    if len(data) == 4:
        version = struct.unpack('<I', data)[0]
        return version >> 16 & 255, version_text(version), False
    old = re.search(r'python(2\.\d)', runtime.path)
    if old:
        raise NotKnown('CPython %s: its layout is not known to this version of procdoc' % old.group(1))
    found = constants_version(runtime.elf)
    if not found:
        paths = [re.search(r'python3\.(\d+)', path) for path in [runtime.path] + runtime.paths]
        found = ['3.' + path.group(1) for path in paths if path]
    if not found:
        raise NotKnown('%s is CPython of a version that could not be found out' % runtime.path)
    return int(found[0].split('.')[1]), found[0], False


def version_text(version):
    """PY_VERSION_HEX 0x030d00f0 as '3.13.0'."""
    level = {0xa: 'a', 0xb: 'b', 0xc: 'rc'}.get(version >> 4 & 15, '')
    return '%d.%d.%d%s' % (version >> 24 & 255, version >> 16 & 255, version >> 8 & 255,
                           level + str(version & 15) if level else '')


def constants_version(elf):
    """['3.8.18'] where .rodata has exactly one such text."""
    section = elf.section(b'.rodata')
    data = elf.read(section.offset, min(section.size, 1 << 24)) if section else b''
    found = set(re.findall(rb'(?<![\d.])(3\.(?:[6-9]|10)\.\d{1,2}(?:[abrc]+\d+)?)\+?\0', data))
    return [text(word) for word in found] if len(found) == 1 else []


def layout_of(memory, minor, free, address):
    """The Layout of a version, or NotKnown."""
    if minor in PYTHON_MINORS:
        column = PYTHON_MINORS.index(minor)
        return Layout(*[row[1][column] for row in PYTHON_LAYOUTS], minor=minor, free=False)
    if minor not in DEBUG_OFFSETS or address is None:
        raise NotKnown('CPython 3.%d: its layout is not known to this version of procdoc' % minor)
    return published_layout(minor, free, debug_fields(memory, minor, address))


def debug_fields(memory, minor, address):
    """{name: u64} of _Py_DebugOffsets."""
    names = []
    for word in DEBUG_OFFSETS[minor].split():
        names += ['.'] * int(word[1:]) if word[0] == '*' else [word]
    return dict(zip(names, memory.words(address + 24, len(names))))


def published_layout(minor, free, field):
    """A Layout from published offsets, and from what stands beside a published field in 3.13 and 3.14 alike.

    co_stacksize and co_nlocalsplus are the ints before and after co_firstlineno; a str's state has `interned` as 2 bits
    (3.13), as a byte or as 16 bits before kind: the state of a known string decides (see kind_bit).
    """
    value = dict((name, -1) for name, _ in PYTHON_LAYOUTS)
    value.update((name, number) for name, number in field.items() if name in value)
    gil = field['gil']
    value.update(gil=field['gil_pointer'], gil_locked=field['gil_locked'] - gil, gil_holder=field['gil_holder'] - gil,
                 gil_enabled=field['gil_enabled'] if free else -1, object=32 if free else 16,
                 wide=field['ascii'] + 16, kind_bit=0, c_stacksize=field['c_first'] - 4, c_nlocals=field['c_first'] + 4,
                 g_frame=72, g_state=67, f_height=64, cached_keys=880,      # 3.13 (its headers); see tasks_known
                 f_tlbc=field['f_tlbc'] if free and field.get('f_tlbc') else -1, c_tlbc=field.get('c_tlbc') or -1)
    if any(number > 1 << 24 for number in value.values()) or field['ob_type'] != (24 if free else 8):
        raise NotKnown('CPython 3.%d: the offsets that it publishes do not make sense' % minor)
    return Layout(minor=minor, free=free, **value)


# --- interpreters and threads

class Python:
    """One look at one CPython process: memory, layout, and what was decoded so far."""

    def __init__(self, memory, layout):
        self.memory, self.layout = memory, layout
        self.codes, self.types, self.handlers, self.lines = {}, {}, {}, {}
        self.code_type, self.kind_bit = None, layout.kind_bit

    def type_of(self, address, view=None):
        """(type's address, b'name') of an object."""
        kind = (view or self.memory).word(address + self.layout.ob_type)
        if kind not in self.types:
            name = self.memory.word(kind + self.layout.object + 8)
            self.types[kind] = self.memory.cstring(name)
        return kind, self.types[kind]

    def string(self, address, view=None):
        """A str object, at most 1000 characters of it; all that code objects have are compact."""
        memory = view or self.memory
        length = memory.word(address + self.layout.object)
        state = memory.int32(address + self.layout.object + 16)
        if not self.kind_bit:                           # interned of 2, 8 or 16 bits: the first string of all decides
            fits = [bit for bit in (2, 8, 16) if state >> bit & 31 in (25, 9, 10, 12)]
            self.kind_bit = fits[0] if fits else 2
        state >>= self.kind_bit
        width, ascii = state & 7, state >> 4 & 1
        if width not in (1, 2, 4) or not state >> 3 & 1 or length > 1 << 30:
            raise Torn()
        data = memory.read(address + (self.layout.ascii if ascii else self.layout.wide), min(length, 1000) * width)
        return data.decode({1: 'latin-1', 2: 'utf-16-le', 4: 'utf-32-le'}[width], 'replace')

    def bytes(self, address):
        """A bytes object, bounded: a line table of a very long function."""
        size = self.memory.word(address + self.layout.object)
        if size > 1 << 20:
            raise Torn()
        return self.memory.read(address + self.layout.object + 16, size)

    def code(self, address):
        """The Code at an address. Its type's name is checked once, then its type's address."""
        known = self.codes.get(address)
        if known is None:
            try:
                known = self.decode_code(address)
            except (Unreadable, Torn):                  # made since its page was read
                self.memory = self.memory.fresh()
                known = self.decode_code(address)
            self.codes[address] = known
        return known

    def decode_code(self, address):
        layout, memory = self.layout, self.memory
        kind = memory.word(address + layout.ob_type)
        if kind != self.code_type:
            if self.code_type is not None or self.type_of(address)[1] != b'code':
                raise Torn()
            self.code_type = kind
        file = self.string(memory.word(address + layout.c_filename))
        name = shown = self.string(memory.word(address + layout.c_name))
        if layout.c_qualname >= 0:                      # 'Pool.acquire', as tracebacks of the standard library do not say
            shown = self.string(memory.word(address + layout.c_qualname))
        return Code(name, shown, file, memory.int32(address + layout.c_first), self.bytes(memory.word(address + layout.c_lines)),
                    address, memory.int32(address + layout.c_nlocals), memory.int32(address + layout.c_stacksize))


def interpreters(python, address):
    """[(interpreter's address, its id)], the main one (id 0) last, as the list has them; 3.6 has no ids: counted."""
    view, layout, found = python.memory.fresh(), python.layout, []
    interp = view.word(address + layout.head)
    while interp and len(found) < 1000 and interp not in found:
        found.append(interp)
        interp = view.word(interp + layout.interp_next)
    if layout.interp_id < 0:
        return [(interp, len(found) - 1 - at) for at, interp in enumerate(found)]
    return [(interp, view.word(interp + layout.interp_id)) for interp in found]


def thread_states(python, found, limit):
    """[PyThread] of all interpreters. Each must point back to its interpreter: a list that changes is Torn."""
    layout, rows, seen = python.layout, [], set()
    view = python.memory.fresh()
    for interp, name in found:
        state = view.word(interp + layout.interp_ts)
        while state and len(rows) < limit:
            if state in seen or view.word(state + layout.ts_interp) != interp:
                raise Torn()
            seen.add(state)
            native = view.word(state + layout.ts_native) if layout.ts_native >= 0 else 0
            lock = joined_lock(python, view, state)
            rows.append(PyThread(state, interp, name, view.word(state + layout.ts_ident), native, lock))
            state = view.word(state + layout.ts_next)
    return rows


def joined_lock(python, view, state):
    """To 3.12: the lock that Thread.join waits for, which the thread state knows by a weak reference; else 0."""
    if python.layout.ts_delete < 0:
        return 0
    try:
        reference = view.word(state + python.layout.ts_delete)
        return python.memory.word(reference + 16) if reference else 0
    except Unreadable:
        return 0


def thread_numbers(pid, tids):
    """{tid as the process itself knows it: tid}: the last number of NSpid is that of its innermost PID namespace."""
    numbers = {}
    for tid in tids:
        match = re.search(rb'^NSpid:((?:\s+\d+)+)', read_whole('/proc/%d/task/%d/status' % (pid, tid)), re.M)
        row = match.group(1).split() if match else []
        if len(row) == 1 or not row and not numbers:    # our own namespace, or a kernel before NSpid (4.1)
            return dict((tid, tid) for tid in tids)
        if row:
            numbers[int(row[-1])] = tid
    return numbers


def native_threads(python, threads, numbers):
    """{thread state: tid}, by the native id where the state has it (3.11 on), else by struct pthread.

    A lone thread state of a process of one thread is that thread, whatever it says: a forked child keeps old numbers.
    """
    found = dict((thread.state, numbers.get(thread.native)) for thread in threads)
    missing = set(thread.ident for thread in threads if found[thread.state] is None and thread.ident)
    named = pthread_tids(python, sorted(missing), numbers)
    found.update((thread.state, named[thread.ident]) for thread in threads if thread.ident in named)
    if len(threads) == 1 == len(numbers):
        found[threads[0].state] = list(numbers.values())[0]
    return found


def pthread_tids(python, idents, numbers):
    """{pthread_t: tid}: struct pthread has the tid as an int at one offset for all threads of a process.

    The offset is the C library's; of those where an int is one of our tids, the one is taken that names the most different
    threads, for a small number (a tid in a container) may stand anywhere. A thread of two interpreters is one pthread.
    """
    blocks, view = {}, python.memory.fresh()
    for ident in idents:
        for size in (1024, 768, 256):
            try:
                blocks[ident] = struct.unpack('<%dI' % (size // 4), view.read(ident, size))
                break
            except Unreadable:
                continue
    best, most = {}, 0
    for at in [offset // 4 for offset in TID_OFFSETS] + list(range(256)):
        named = dict((ident, numbers[block[at]]) for ident, block in blocks.items() if at < len(block) and block[at] in numbers)
        if len(set(named.values())) > most:
            best, most = named, len(set(named.values()))
    return best if len(best) == most else {}


# --- frames

def top_frame(view, layout, state):
    frame = view.word(state + layout.ts_frame)
    if layout.cframe_frame >= 0 and frame:
        frame = view.word(frame + layout.cframe_frame)
    return frame


def instruction(view, layout, frame):
    """To 3.10 the index of the last instruction in bytes, from 3.11 on the address of it."""
    if layout.minor <= 10:
        lasti = view.int32(frame + layout.f_instr)
        return lasti * 2 if layout.minor == 10 and lasti > 0 else lasti
    return view.word(frame + layout.f_instr)


def code_start(python, view, frame, code):
    """Address of the first instruction. Free-threaded 3.14 runs copies of the bytecode: which one is in the frame."""
    layout = python.layout
    if layout.f_tlbc >= 0 and layout.c_tlbc >= 0:
        index = view.int32(frame + layout.f_tlbc)
        copies = view.word(code + layout.c_tlbc)
        if copies and 0 < index < view.word(copies):
            return view.word(copies + 8 + 8 * index)
    return code + layout.c_code


def read_frames(python, view, top):
    """[Frame], innermost first; lasti in bytes. Torn where a frame comes twice or has no code object."""
    layout, rows, seen = python.layout, [], set()
    frame = top
    while frame and len(rows) < FRAME_LIMIT:
        if frame in seen or frame & 7:
            raise Torn()
        seen.add(frame)
        if layout.minor <= 10 and not 0 < view.word(frame) < 1 << 31:
            raise Torn()                                # without references: freed, and kept for the next call
        code, back = view.word(frame + layout.f_code) & ~7, view.word(frame + layout.f_back)
        owner = view.read(frame + layout.f_owner, 1)[0] if layout.f_owner >= 0 else 0
        if owner == 1 and not back:
            raise Torn()                                # a generator that was left while we came
        if owner < 3:
            python.code(code)
            lasti = instruction(view, layout, frame)
            if layout.minor > 10:
                lasti -= code_start(python, view, frame, code)
                if not -16 <= lasti < 1 << 24:
                    raise Torn()
            rows.append(Frame(frame, code, lasti))
        frame = back
    return rows


def moment(view, layout, state):
    """Where a thread is: it stands still between two looks where this is equal."""
    top = top_frame(view, layout, state)
    return (top, instruction(view, layout, top)) if top else (0, 0)


def thread_frames(python, state, running):
    """([Frame], moving). A blocked thread is read once and stands where it stood. Of a running one, pages of different moments
    may seem to make a stack: it is believed when two readings have the same one. After 20 readings that had none,
    what is common to two of them from the outermost frame on is given: those frames were there all the time.
    """
    last, common, moved = None, [], False
    for _ in range(20):
        view = python.memory.fresh()
        try:
            before = moment(view, python.layout, state)
            rows = read_frames(python, view, before[0])
            if not running and moment(python.memory.fresh(), python.layout, state) == before:
                return rows, moved
        except (Unreadable, Torn):
            moved = True
            continue
        running = True
        if last is not None:
            same = same_frames(rows, last)
            if len(same) == len(rows) == len(last):
                return rows, moved or rows != last
            common, moved = max(common, same, key=len), True
        last = rows
    return common, True


def same_frames(rows, last):
    """The outermost frames that two readings have in common; of the innermost of them the instruction may differ."""
    count, limit = 0, min(len(rows), len(last))
    while count < limit and rows[-1 - count][:2] == last[-1 - count][:2]:
        count += 1
        if rows[-count] != last[-count]:
            break
    return rows[len(rows) - count:]


# --- LINE TABLES: lasti (in bytes) -> line

def line_of(minor, code, lasti):
    table = lines_lnotab if minor < 10 else lines_pairs if minor == 10 else lines_locations
    return table(code.lines, code.first, max(lasti, 0))


def lines_lnotab(table, line, lasti):
    """To 3.9: pairs of (bytes of code, signed lines), each a step."""
    at = 0
    for step, lines in zip(table[0::2], table[1::2]):
        at += step
        if at > lasti:
            break
        line += lines - 256 if lines > 127 else lines
    return line


def lines_pairs(table, line, lasti):
    """3.10: pairs of (bytes of code, signed lines), each a range; -128 is a range without a line."""
    at = 0
    for step, lines in zip(table[0::2], table[1::2]):
        line += 0 if lines == 128 else lines - 256 if lines > 127 else lines
        at += step
        if at > lasti:
            break
    return line


def lines_locations(table, line, lasti):
    """3.11 on: entries of one byte 1CCCCLLL (kind, length in code units - 1) and what the kind brings, up to the next
    byte with its high bit set: 15 nothing and no line, 13 and 14 a signed varint, 10 to 12 a small step, others none."""
    at, place, end = 0, 0, len(table)
    while place < end:
        head = table[place]
        kind = head >> 3 & 15
        place += 1
        if kind in (13, 14):
            value, _ = varint_low_first(table, place)
            line += -(value >> 1) if value & 1 else value >> 1
        elif 10 <= kind <= 12:
            line += kind - 10
        at += 2 * ((head & 7) + 1)
        if at > lasti:
            break
        while place < end and table[place] < 128:
            place += 1
    return line


def varint_low_first(table, place):
    """Six bits a byte, the lowest first; 64 says that more follow."""
    value, shift = 0, 0
    while place < len(table):
        byte = table[place]
        value |= (byte & 63) << shift
        place, shift = place + 1, shift + 6
        if not byte & 64 or shift > 40:
            break
    return value, place


def exception_entries(table):
    """3.11 on: [(start, end, handler, depth)], offsets in bytes; depth is the height of the value stack to keep."""
    rows, place = [], 0
    while place < len(table) and len(rows) < 10000:
        values = []
        for _ in range(4):                              # six bits a byte, the highest first
            value = 0
            while place < len(table):
                byte = table[place]
                value, place = value << 6 | byte & 63, place + 1
                if not byte & 64:
                    break
            values.append(value)
        start, size, handler, depth = values
        rows.append((2 * start, 2 * (start + size), 2 * handler, depth >> 1))
    return rows


# --- the GIL

def gil_address(python, runtime, interp):
    if python.layout.gil < 0:
        return 0
    return python.memory.fresh().word(interp + python.layout.gil) if python.layout.minor >= 12 else runtime + python.layout.gil


def read_gil(python, address, states):
    """(locked, holder's thread state, switch number) or None where the place does not look like a GIL.

    Its pattern is {interval in microseconds, a thread state or 0, 0 or +-1}: switch_number counts changes of the holder.
    """
    layout, view = python.layout, python.memory.fresh()
    try:
        start = address + layout.gil_holder - 8
        interval, holder, locked, _, switch = struct.unpack('<QQiiQ', view.read(start, 32))
    except Unreadable:
        return None
    if not 0 < interval < 1 << 32 or locked not in (-1, 0, 1) or holder and holder not in states:
        return None
    return locked == 1, holder, switch


def scan_gil(python, runtime, states):
    """3.7.0 to 3.7.3 have the GIL elsewhere in _PyRuntime: sought by its pattern with the default interval of 5 ms."""
    try:
        data = python.memory.fresh().read(runtime, 4096)
    except Unreadable:
        return None
    for at in range(0, len(data) - 32, 8):
        interval, holder, locked, _ = struct.unpack_from('<QQii', data, at)
        if interval == 5000 and locked in (-1, 0, 1) and holder in states:
            return runtime + at
    return None


def gil_row(address, name):
    return {'address': address, 'condition': 0, 'interpreters': [name], 'enabled': True, 'locked': None, 'holder_tid': None,
            'switch_number': None}


def gil_report(python, runtime, elf_runtime, found, tids):
    """[{'address', 'interpreters', 'enabled', 'locked', 'holder_tid', 'switch_number'}], one for each GIL; the report adds
    'steady': the same at the end of the look as at its start.

    `locked` None: not known. holder_tid only where it is locked: the kernel does not know it, the runtime says it.
    """
    rows = collections.OrderedDict()
    states = set(tids)
    if python.layout.minor == 6:
        return [gil_36(python, elf_runtime, tids)]
    for interp, name in found:
        address = gil_address(python, runtime, interp)
        if address and address in rows:
            rows[address]['interpreters'].append(name)
            continue
        row = gil_row(address, name)
        row['condition'] = address + python.layout.gil_locked + 16 if address else 0
        if python.layout.gil_enabled >= 0 and address:
            row['enabled'] = bool(python.memory.fresh().int32(address + python.layout.gil_enabled))
        value = read_gil(python, address, states) if address else None
        if value is None and python.layout.minor == 7:
            row['address'] = scan_gil(python, runtime, states) or 0
            value = read_gil(python, row['address'], states) if row['address'] else None
        if value is not None and row['enabled']:
            row.update(locked=value[0], switch_number=value[2], holder_tid=tids.get(value[1]) if value[0] else None)
        rows[address] = row
    return list(rows.values())


def gil_36(python, elf_runtime, tids):
    """3.6: variables of their own; _PyThreadState_Current is the holder's state and 0 while nobody holds it."""
    row = gil_row(0, 0)
    value = elf_runtime.elf.symbol(b'_PyThreadState_Current')
    if value is not None:
        holder = python.memory.fresh().word(value + elf_runtime.bias)
        if not holder or holder in tids:
            row.update(locked=bool(holder), holder_tid=tids.get(holder))
    counter = elf_runtime.elf.symbol(b'gil_switch_number', deep=True)
    if counter is not None:
        row['switch_number'] = python.memory.fresh().word(counter + elf_runtime.bias)
    condition = elf_runtime.elf.symbol(b'gil_cond', deep=True)
    row['address'] = row['condition'] = condition + elf_runtime.bias if condition is not None else 0
    return row


def head_36(memory, runtime):
    """3.6: where the pointer to the first interpreter is: interp_head, of .symtab only; in a stripped file sought among the
    variables: a word p with *(p) == 0 (no next), a thread t = *(p+8), and *(t+16) == p."""
    value = runtime.elf.symbol(b'interp_head', deep=True)
    if value is not None:
        return value + runtime.bias
    for segment in runtime.elf.segments:
        if segment.type != PT_LOAD or not segment.flags & 2:
            continue
        for start in range(runtime.bias + (segment.vaddr & ~7), runtime.bias + segment.vaddr + segment.memsz, CACHE_PAGE):
            try:
                words = memory.words(start, min(CACHE_PAGE, runtime.bias + segment.vaddr + segment.memsz - start) // 8)
            except Unreadable:
                continue
            for at, word in enumerate(words):
                if word > CACHE_PAGE and not word & 7 and looks_like_interpreter(memory, word):
                    return start + 8 * at
    raise NotKnown('CPython 3.6 without symbols: its list of threads was not found')


def looks_like_interpreter(memory, address):
    try:
        state = memory.word(address + 8)
        return (state > CACHE_PAGE and not state & 7 and memory.word(address) == 0 and memory.word(state + 16) == address
                and memory.word(state) == 0)
    except Unreadable:
        return False


# --- locks: what a thread waits for, and who has it

PY_LOCK_TYPES = {b'_thread.lock': 'Lock', b'_thread.RLock': 'RLock', b'_queue.SimpleQueue': 'SimpleQueue.get'}
BUILTIN_METHODS = (b'builtin_function_or_method', b'builtin_method')
WAIT_NAMES = (
    # file's end, function, of the innermost frames (the first, or the first but one) -> what the lock is a part of
    ('queue.py', 'get', 'Queue.get'), ('queue.py', 'put', 'Queue.put'), ('queue.py', 'join', 'Queue.join'),
    ('concurrent/futures/_base.py', 'result', 'Future.result'), ('concurrent/futures/_base.py', 'exception', 'Future.result'),
    ('concurrent/futures/_base.py', 'wait', 'futures.wait'), ('concurrent/futures/_base.py', 'as_completed', 'as_completed'),
)


def thread_call(pid, tid):
    """The words of a thread's syscall file: [] where there is none to see, [b'running'] of one that runs."""
    return read_whole('/proc/%d/task/%d/syscall' % (pid, tid), 400).split() if tid else []


def futex_word(call, machine):
    """Address of the futex that a thread sleeps on, or None."""
    return number(call[1], 16) if len(call) == 9 and number(call[0]) == FUTEX_NUMBER.get(machine) else None


def frame_words(python, view, frame, code):
    """(locals, value stack) of a frame as words. The stack is whole, for to 3.13 its height is not in memory during a call:
    words above the top are old ones."""
    layout = python.layout
    start = frame.address + layout.f_locals
    stacksize = max(0, min(code.stacksize, 200))
    if layout.f_stack >= 0:
        bottom = view.word(frame.address + layout.f_stack)
        nlocals = max(0, min((bottom - start) // 8, 500))
    else:
        nlocals = max(0, min(code.nlocals, 500))
        bottom = start + 8 * code.nlocals
    if layout.f_top >= 0:
        stacksize = max(0, min((view.word(frame.address + layout.f_top) - bottom) // 8, stacksize))
    return view.words(start, nlocals), view.words(bottom, stacksize)


def lock_at(python, view, address, futex):
    """(kind, address of the lock) if the object there is a lock whose semaphore the thread sleeps on, else None."""
    layout = python.layout
    try:
        name = python.type_of(address, view)[1]
        if name in BUILTIN_METHODS:       # lock.acquire kept under another name, the __exit__ of a `with`
            address = view.word(address + layout.object + 8)
            name = python.type_of(address, view)[1]
        if name in PY_LOCK_TYPES and view.word(address + layout.object) == futex:
            return PY_LOCK_TYPES[name], address
    except Unreadable:
        pass
    return None


def parked_on(python, view, futex):
    """From 3.13 on: the address that a sleeper is parked on, which stands before its semaphore (struct wait_entry)."""
    try:
        return view.word(futex - 8) if python.layout.minor >= 13 else 0
    except Unreadable:
        return 0


def parked_lock(python, view, futex):
    """(kind, address) of the lock that a sleeper is parked on: 3.14, the later 3.13 and free-threaded builds, where a lock
    is a byte behind the object's head, 3 when it is held and waited for."""
    address = parked_on(python, view, futex) - python.layout.object
    try:
        name = python.type_of(address, view)[1] if address > CACHE_PAGE else b''
        if name in PY_LOCK_TYPES and (name == b'_queue.SimpleQueue' or view.read(address + python.layout.object, 1)[0] & 3 == 3):
            return PY_LOCK_TYPES[name], address
    except Unreadable:
        pass
    return None


def awaited_lock(python, view, frame, code, futex):
    """The lock that a thread in futex waits for. To 3.12, and in the first 3.13, it is an object among the words of the
    innermost frame whose first field points to the semaphore that the thread sleeps on; later the sleeper has its address."""
    if python.layout.minor >= 13:
        found = parked_lock(python, view, futex)
        if found or python.layout.minor > 13:
            return found
    names, stack = frame_words(python, view, frame, code)
    for word in list(reversed(stack)) + list(names):
        found = lock_at(python, view, word, futex) if word > CACHE_PAGE else None
        if found:
            return found
    return None


def awaited_thread(python, view, frame, code, futex):
    """3.13 on, Thread.join: (the handle's address, pthread_t of the thread), the handle being an object among the words of
    the frame, and the sleeper parked on the event in it. 3.13 and 3.14 alike have the pthread_t at 32."""
    layout, parked = python.layout, parked_on(python, view, futex)
    for words in reversed(frame_words(python, view, frame, code)):
        for word in words:
            try:
                if word & ~7 > CACHE_PAGE and python.type_of(word & ~7, view)[1] == b'_thread._ThreadHandle':
                    handle = view.word((word & ~7) + layout.object)
                    if handle < parked < handle + 128:
                        return word & ~7, view.word(handle + 32)
            except Unreadable:
                continue
    return None


def bare(frames):
    """[(co_name, file)] of frames whose functions may be qualified ('Queue.get')."""
    return [(function.rpartition('.')[2], file.replace('\\', '/')) for function, file, _ in frames]


def wait_name(kind, frames):
    """'Lock', or what the lock is a part of: 'Condition.wait', 'Queue.get', 'Thread.join', by the innermost frames."""
    own = bare(frames[:4])
    if not own:
        return kind
    if own[0][0] in ('join', '_wait_for_tstate_lock', '_shutdown') and own[0][1].endswith('threading.py'):      # _shutdown joins all at exit
        return 'Thread.join'
    if 'importlib._bootstrap' in own[0][1]:
        return 'import lock'
    if own[0][0] != 'wait' or not own[0][1].endswith('threading.py'):
        return kind
    for function, file in own[1:3]:
        for end, name, label in WAIT_NAMES:
            if file.endswith(end) and function == name:
                return label
        if file.endswith('threading.py') and function in ('wait', 'acquire', '_wait', 'join', 'wait_for'):
            return {'wait': 'Event.wait', 'acquire': 'Semaphore.acquire', '_wait': 'Barrier.wait'}.get(function, 'Condition.wait')
    return 'Condition.wait'


def live_depth(python, view, frame):
    """How many words of a frame's value stack are surely in use: those below the innermost open block.

    The word below that level is the __exit__ of its `with`; a `with` that still waits for its lock is not open yet. So a
    released lock whose word was left on the stack is never taken for a held one.
    """
    layout = python.layout
    if layout.minor <= 10:
        count = view.int32(frame.address + layout.f_iblock)
        if not 0 < count <= 20:
            return 0
        return view.int32(frame.address + layout.f_blocks + 12 * (count - 1) + 8)
    row = handler_of(python, frame.code, frame.lasti)
    return row[3] if row else 0


def handler_of(python, code, lasti):
    """3.11 on: the row of the exception table that covers an instruction, or None."""
    if code not in python.handlers:
        table = python.bytes(python.memory.word(code + python.layout.object + 24))
        python.handlers[code] = exception_entries(table)
    for row in python.handlers[code]:
        if row[0] <= lasti < row[1]:
            return row
    return None


def exits(python, view, frame, code, wanted):
    """[(place on the value stack, lock)] of the `with` blocks that a frame is in, for the locks in `wanted`."""
    layout = python.layout
    depth = min(live_depth(python, view, frame), code.stacksize, 200)
    if depth <= 0:
        return []
    bottom = frame.address + layout.f_locals + 8 * code.nlocals
    if layout.f_stack >= 0:
        bottom = view.word(frame.address + layout.f_stack)
    words = [word & ~7 for word in view.words(bottom, depth)]
    found = []
    for place, word in enumerate(words):
        try:
            if layout.minor <= 13:
                lock = view.word(word + layout.object + 8) if word > CACHE_PAGE else 0
                if lock in wanted and is_exit(python, view, word):
                    found.append((place, lock))
            elif word in wanted and place and is_exit(python, view, words[place - 1]):
                found.append((place, word))
        except Unreadable:
            continue
    return found


def is_exit(python, view, address):
    """To 3.13 a builtin method whose definition is named __exit__, in 3.14 a method descriptor of that name."""
    name = python.type_of(address, view)[1]
    if name in BUILTIN_METHODS:
        return view.cstring(view.word(view.word(address + python.layout.object)), 16) == b'__exit__'
    return name == b'method_descriptor' and python.string(view.word(address + python.layout.object + 8)) == '__exit__'


def with_line(python, view, frame, code, place):
    """Line of the `with` statement whose __exit__ is at a place of the value stack, or None.

    From 3.11 on the handler of that block carries it. To 3.10 the block's SETUP_WITH (143) is looked for in the bytecode
    by its target.
    """
    layout = python.layout
    if layout.minor <= 10:
        for at in range(20):
            _, handler, level = struct.unpack('<iii', view.read(frame.address + layout.f_blocks + 12 * at, 12))
            if level == place + 1:
                return setup_with_line(python, code, handler)
        return None
    row, best = handler_of(python, frame.code, frame.lasti), None
    for _ in range(60):                                 # outwards: a `try` in the body has the level of its `with`
        if row is None or row[3] <= place:
            break
        best = row if row[3] == place + 1 else best
        row = handler_of(python, frame.code, row[2])
    return line_of(layout.minor, code, best[2]) if best else None


def setup_with_line(python, code, handler):
    """To 3.10: jumps and handlers count bytes, in 3.10 instructions of 2 bytes; 144 extends the next argument."""
    unit = 2 if python.layout.minor == 10 else 1
    data, argument = python.bytes(python.memory.word(code.address + python.layout.c_code)), 0
    for at in range(0, len(data) - 1, 2):
        argument = argument << 8 | data[at + 1]
        if data[at] == 143 and at + 2 + argument * unit == handler * unit:
            return line_of(python.layout.minor, code, at)
        argument = argument if data[at] == 144 else 0
    return None


def find_waits(python, stacks, futexes):
    """{thread state: {'kind', 'address', 'lock', 'ident' or None}} of the threads that wait for a lock or a thread."""
    waits = {}
    for state, rows in stacks.items():
        if not rows or futexes.get(state) is None:
            continue
        view = python.memory.fresh()
        try:
            code = python.code(rows[0].code)
            found = awaited_lock(python, view, rows[0], code, futexes[state])
            if found:
                waits[state] = {'lock': found[0], 'address': found[1], 'ident': None}
            elif python.layout.minor >= 13 and code.name == 'join':
                handle = awaited_thread(python, view, rows[0], code, futexes[state])
                if handle:
                    waits[state] = {'lock': 'Thread.join', 'address': handle[0], 'ident': handle[1]}
        except (Unreadable, Torn):
            continue
    return waits


def lock_holders(python, stacks, wanted):
    """{lock: [(thread state, frame's place in its stack, place on the value stack)]} of the `with` blocks around locks."""
    found = {}
    for state, rows in stacks.items():
        view = python.memory.fresh()
        for at, frame in enumerate(rows or ()):
            try:
                for place, lock in exits(python, view, frame, python.code(frame.code), wanted):
                    found.setdefault(lock, []).append((state, at, place))
            except (Unreadable, Torn):
                continue
    return found


def recursive_owner(python, address):
    """pthread_t of an RLock's owner, 0 where nobody holds it, None where it cannot be read.

    It stands behind the lock, and how often it is held behind that: once is 1, in 3.14 it is 0.
    """
    try:
        owner, count = struct.unpack('<QQ', python.memory.fresh().read(address + python.layout.object + 8, 16))
    except Unreadable:
        return None
    return owner if (count > 0 or python.layout.minor >= 14) and count < 1 << 31 else 0


def describe_locks(python, threads, stacks, waits, tids, frames):
    """{thread state: lock record} with what is known of the owner.

    owner_how: 'owner field' (RLock), 'thread state' and 'thread handle' (join), which the runtime itself wrote; 'value stack':
    a `with` block of that lock is open in the owner's frame, which a release() inside the block would belie: likely.
    'no such thread': an RLock's owner is no thread of the process: it ended, or did not come along through a fork.
    """
    by_ident = dict((thread.ident, thread.state) for thread in threads)
    by_lock = dict((thread.lock, thread.state) for thread in threads if thread.lock)
    holders = lock_holders(python, stacks, set(wait['address'] for wait in waits.values()))
    records = {}
    for state, wait in waits.items():
        owner, how, place = None, '', None
        held = holders.get(wait['address'], [])
        if wait['lock'] == 'RLock':
            ident = recursive_owner(python, wait['address'])
            owner = by_ident.get(ident)
            how = 'owner field' if owner else 'no such thread' if ident else ''
            held = [row for row in held if row[0] == owner]
        elif wait['ident'] is not None:
            owner, how, held = by_ident.get(wait['ident']), 'thread handle', []
        elif wait['address'] in by_lock:
            owner, how, held = by_lock[wait['address']], 'thread state', []
        elif len(set(row[0] for row in held)) == 1:     # two who hold one lock: not known
            owner, how = held[0][0], 'value stack'
        if held and owner:
            place = holding_frame(python, stacks, frames, held[0])
        records[state] = {'tid': tids.get(state), 'kind': wait_name(wait['lock'], frames[state]), 'lock': wait['lock'],
                          'address': wait['address'], 'owner_tid': tids.get(owner), 'owner_how': how,
                          'owner_frame': place}
    return records


def holding_frame(python, stacks, frames, row):
    """(function, file, line of the `with`) of a holder."""
    state, at, place = row
    frame = stacks[state][at]
    function, file, line = frames[state][at]
    try:
        found = with_line(python, python.memory.fresh(), frame, python.code(frame.code), place)
    except (Unreadable, Torn):
        found = None
    return function, file, line if found is None else found


# --- asyncio: the tasks that are not done, and where each of them waits
#
# A suspended coroutine is on no thread's stack. asyncio keeps all tasks in a weak set in its module `tasks`; from a task
# its coroutine is found, and from that what it awaits, as cr_await says it. The offsets that are numbers here are the same
# in 3.7 to 3.13 on 64 bits: object.h, dictobject.c, setobject.h, weakrefobject.h and moduleobject.c of these versions.

TASK_LIMIT = 2000                                       # pending tasks that are read; of the done that are kept, 40 times as many are passed
AWAIT_LIMIT = 50                                        # frames of one task that are kept: its innermost
GENERATORS = (b'coroutine', b'generator', b'async_generator')
AWAIT_WRAPPERS = (b'coroutine_wrapper', b'async_generator_asend', b'async_generator_athrow', b'anext_awaitable')   # around what is at 16
WEAK_REFERENCES = (b'weakref', b'weakref.ReferenceType')
TP_BASICSIZE, TP_FLAGS, TP_DICTOFFSET = 32, 168, 288
SUSPENDED, CREATED, RUNNING, FINISHED = 'suspended', 'not started', 'running', 'finished'
ASYNCIO_FILE = re.compile(r'(^|/)(asyncio|uvloop)/\w+\.py$')
ASYNCIO_PATH = re.compile(r'/(_asyncio\.[^/]*so|uvloop/[^/]*\.so)')

Task = NamedTuple('Task', [('address', int), ('coroutine', int), ('name', str), ('state', str), ('kind', str), ('awaited', str),
                           ('frames', tuple)])


def uses_asyncio(paths, stacks):
    """Whether asyncio was imported: its C part is mapped, or one of its files is on a stack. All others pay no more than this."""
    return any(ASYNCIO_PATH.search(path) for path in paths) or any(
        ASYNCIO_FILE.search(file) for frames in stacks for _, file, _ in frames)


def tasks_known(layout):
    """3.6 has its set of tasks in a variable of its C part, 3.14 has a list for each thread, and free-threaded objects are longer."""
    return 7 <= layout.minor <= 13 and not layout.free


def pending_tasks(python, interps, stacks, frames):
    """{'error', 'found' (whether asyncio's list of tasks was), 'cut' (there are more), 'moving' (left out: they ran meanwhile),
    'other' (left out: with coroutines that are not Python's own, Cython's for one; done or not), 'groups': [{'frames', 'state',
    'awaits', 'tasks': [(address, name, awaited task's name)]}]}, the largest group first.

    The process is not stopped, and the memory of a coroutine is used again at once, often for one of the same shape: two slow
    looks may be wrong in the same way (it was seen). So each task stands only if all the words that say it are found
    unchanged afterwards, twice, within a fraction of a millisecond (Noted.holds); it is tried four times, then left out.
    """
    report = {'error': '', 'found': False, 'cut': False, 'moving': 0, 'other': 0, 'groups': []}
    if not tasks_known(python.layout):
        report['error'] = 'its asyncio tasks are not read: %s is not known for that' % (
            'a free-threaded CPython' if python.layout.free else 'CPython 3.%d' % python.layout.minor)
        return report
    running = dict((frame.address, (state, stack, frames[state][:at + 1])) for state, stack in stacks.items()
                   for at, frame in enumerate(stack))
    try:
        look = TaskReader(python, running)
        if look.read(interps) and (look.sets or not uses_asyncio((), frames.values())):
            report.update(found=look.sets > 0, cut=look.cut, other=look.other, moving=look.torn, groups=task_groups(look.tasks.values()))
        else:
            report['error'] = 'its asyncio tasks were not found: what holds them could not be read'
    except Enough:
        report.update(error='reading its asyncio tasks took too long', cut=True)
    return report


def task_groups(tasks):
    """Tasks with the same stack that await the same kind of thing, together."""
    table = collections.OrderedDict()
    for task in tasks:
        table.setdefault((task.frames, task.state, task.kind), []).append((task.address, task.name, task.awaited))
    rows = [{'frames': list(frames), 'state': state, 'awaits': kind, 'tasks': tasks} for (frames, state, kind), tasks in table.items()]
    return sorted(rows, key=lambda row: -len(row['tasks']))


class Noted:
    """A view that notes what was read of it, to look at it once more."""

    def __init__(self, view):
        self.view, self.seen = view, {}

    def read(self, address, length):
        data = self.view.read(address, length)
        if length > len(self.seen.get(address, b'')):
            self.seen[address] = data
        return data

    def word(self, address):
        return WORD.unpack(self.read(address, 8))[0]

    def int32(self, address):
        return INT32.unpack(self.read(address, 4))[0]

    def words(self, address, count):
        return struct.unpack('<%dQ' % count, self.read(address, 8 * count)) if count > 0 else ()

    def cstring(self, address, limit=200):
        return self.view.cstring(address, limit)

    def spans(self):
        """[(start, end, [(place in it, bytes)])]: what is near together is read at once."""
        rows = []
        for address in sorted(self.seen):
            data = self.seen[address]
            if rows and address - rows[-1][1] < 256 and address >> 12 == rows[-1][0] >> 12:
                rows[-1][1] = max(rows[-1][1], address + len(data))
            else:
                rows.append([address, address + len(data), []])
            rows[-1][2].append((address - rows[-1][0], data))
        return rows

    def holds(self):
        """Whether it is all still there, forwards and then backwards: what was the same in the middle and at both ends of so
        short a time was there together."""
        rows = self.spans()
        started = time.monotonic()
        for start, end, pieces in rows + rows[::-1]:
            now = self.view.pread(start, end - start)
            for at, data in pieces:
                if now[at:at + len(data)] != data:
                    return False
        return time.monotonic() - started < 0.0005 + 0.00001 * len(rows)


class TaskReader:
    """One look at all tasks."""

    def __init__(self, python, running):
        self.python, self.layout, self.view = python, python.layout, None
        self.running = running                          # {frame on a thread's stack: (thread state, stack, named frames up to it)}
        self.tasks, self.places, self.kinds, self.pages = {}, {}, set(), None
        self.sets, self.cut, self.other, self.torn = 0, False, 0, 0

    def kind(self, address):
        """The name of an object's type, b'' of what is no object."""
        try:
            return self.python.type_of(address, self.view)[1] if address > CACHE_PAGE and not address & 7 else b''
        except Unreadable:
            return b''

    def sure(self, address):
        """The same of what must be an object: memory that was mapped after we looked at the mappings is not there for us."""
        kind = self.kind(address)
        if not kind:
            raise Unreadable()
        return kind

    def read(self, interps):
        """Whether what holds the tasks could be read. At most half a second, or half of the time that is left."""
        now = time.monotonic()
        until = now + min((self.python.memory.deadline - now) / 2, 0.5)
        for _ in range(3):
            self.view = self.pages = self.python.memory.fresh()
            self.sets = self.torn = 0
            try:
                found = [task for interp, _ in interps for task in self.task_sets(interp)]
                break
            except (Unreadable, Torn):
                continue
        else:
            return False
        for address in found:
            if len(self.tasks) >= TASK_LIMIT or time.monotonic() > until:
                self.cut = True
                break
            try:
                task = None if self.over(address) else self.settled(address)
            except (Unreadable, Torn):
                self.torn += 1
                continue
            self.other += task is False
            if task:
                self.tasks[address] = task
        return True

    def over(self, address):
        """Whether a task is surely done, for its coroutine is finished and stays so: thousands of these may be kept by somebody."""
        self.view, layout = self.pages, self.layout
        try:
            place = self.places.get(self.view.word(address + 8))
            coroutine = self.view.word(address + place + 8) if place else 0
            if not coroutine:
                return False
            return self.state(coroutine, self.view.word(coroutine + layout.g_frame) if layout.minor <= 10 else 0) == FINISHED
        except (Unreadable, Torn):
            return False

    def settled(self, address):
        """The Task of a moment; None and False as task() says them. The first try uses pages that were read for others."""
        for attempt in range(4):
            view = self.pages if attempt == 0 else self.python.memory.fresh()
            self.view = Noted(view)
            try:
                found = self.task(address)
            except (Unreadable, Torn):
                continue
            if self.view.holds():
                if found:
                    self.kinds.add(self.view.word(address + 8))
                return found
        if self.kinds and self.view.view.word(address + 8) not in self.kinds:
            return None                                 # it ended, and another object has its memory
        raise Torn()

    # - where asyncio keeps them

    def task_sets(self, interp):
        """Addresses of what asyncio.all_tasks() looks at: a weak set (to 3.11 _all_tasks), 3.12 on besides it a set of the eager
        ones."""
        module = self.modules(interp).get('asyncio.tasks')
        if not module or self.kind(module) != b'module':
            return []
        found = self.members(self.dict_entries(self.view.word(module + 16)), '_all_tasks', '_scheduled_tasks', '_eager_tasks')
        tasks = []
        for name in ('_all_tasks', '_scheduled_tasks'):
            if name in found and self.kind(found[name]) == b'WeakSet':
                data = self.members(self.attributes(found[name]), 'data').get('data', 0)
                self.sets += 1
                for reference in self.set_members(data)[:40 * TASK_LIMIT]:
                    kind = self.kind(reference)
                    if kind in WEAK_REFERENCES:
                        tasks.append(self.view.word(reference + 16))
                    self.torn += not kind
        if '_eager_tasks' in found:
            tasks += self.set_members(found['_eager_tasks'])
        return list(collections.OrderedDict.fromkeys(tasks))

    def modules(self, interp):
        """{'asyncio.tasks': module} of an interpreter's sys.modules; where another build has it elsewhere it is sought: a dict
        with that key among the interpreter's words."""
        try:
            words = (self.view.word(interp + self.layout.modules),)
            if self.kind(words[0]) != b'dict':
                words = self.view.words(interp, 512)
        except Unreadable:
            return {}
        for word in words:
            if self.kind(word) == b'dict':
                found = self.members(self.dict_entries(word), 'asyncio.tasks')
                if found:
                    return found
        return {}

    # - the containers

    def dict_entries(self, address):
        """[(key, value)] of a dict; of a split one (an instance's) the values stand elsewhere, 3.13 with 8 bytes before them."""
        if self.kind(address) not in (b'dict', b'collections.OrderedDict'):
            raise Torn()
        keys, values = self.view.words(address + 32, 2)
        return self.key_entries(keys, values + 8 * (self.layout.minor >= 13) if values else 0)

    def key_entries(self, keys, values):
        """The entries of a key table: behind its index, {hash, key, value}, from 3.11 on {key, value} where all keys are str."""
        if self.layout.minor <= 10:
            size, _, _, count = self.view.words(keys + 8, 4)
            start, step = 40 + size * (1 if size <= 0xff else 2 if size <= 0xffff else 4), 3
        else:
            _, log2_size, kind = self.view.read(keys + 8, 3)
            count, start, step = self.view.word(keys + 24), 32 + (1 << min(log2_size, 40)), 2 if kind else 3
        if count > 1 << 16 or start > 1 << 24:
            raise Torn()
        words = self.view.words(keys + start, step * count)
        return list(zip(words[step - 2::step], self.view.words(values, count) if values else words[step - 1::step]))

    def members(self, entries, *names):
        """{name: value} of the wanted names among entries: a str of that length and with these bytes."""
        wanted, found = {}, {}
        for name in names:
            wanted.setdefault(len(name), []).append(name)
        for key, value in entries:
            if key and value:
                for name in wanted.get(self.view.word(key + 16), ()):
                    if self.view.read(key + self.layout.ascii, len(name)) == name.encode():
                        found[name] = value
        return found

    def attributes(self, address):
        """[(name, value)] of an instance's attributes: in a dict, or as values before it (3.11, 3.12) or behind it (3.13)."""
        view, minor = self.view, self.layout.minor
        kind = view.word(address + 8)
        if minor <= 10 or not view.word(kind + TP_FLAGS) & 16:         # MANAGED_DICT
            at = view.word(kind + TP_DICTOFFSET)
            table = view.word(address + at) if 0 < at < 4096 else 0
            return self.dict_entries(table) if table else []
        keys = view.word(kind + self.layout.cached_keys)
        if minor == 11:
            values, table = view.words(address - 32, 2)
        elif minor == 12:
            values = table = view.word(address - 24)
            values = values + 1 if values & 1 else 0
        else:
            table = view.word(address - 24)
            values = address + view.word(kind + TP_BASICSIZE) + 8 if not table and view.word(kind + TP_FLAGS) & 4 else 0
        return self.key_entries(keys, values) if values else self.dict_entries(table) if table else []

    def set_members(self, address):
        """What is in a set; a part of a very large one. Where something was taken out is a dummy with the hash -1."""
        if self.kind(address) != b'set':
            raise Torn()
        mask, table = self.view.words(address + 32, 2)
        if mask & mask + 1:
            raise Torn()
        count = 2 * min(mask + 1, 1 << 17)
        words = struct.unpack('<%dQ' % count, self.view.exactly(table, 8 * count))
        found = [key for key, number in zip(words[0::2], words[1::2]) if key and number != (1 << 64) - 1]
        self.cut = self.cut or mask >= 1 << 17 or len(found) > 40 * TASK_LIMIT
        return found

    # - a task

    def task(self, address):
        """The Task; None of one that is done, for its coroutine is finished, or gone; False: it has no coroutine of Python's."""
        if self.sure(address) == b'NoneType':           # a dead reference
            return None
        waiter, coroutine, name = self.fields(address)
        if coroutine is None:
            return None
        if not coroutine:
            return False
        state, frames, awaited = self.stack(coroutine)
        if state == FINISHED:
            return None
        if not waiter or state != SUSPENDED:
            return Task(address, coroutine, self.task_name(name), state, '', '', frames)
        if self.kind(awaited).endswith(b'FutureIter') and self.view.word(awaited + 16) != waiter:
            raise Torn()
        return Task(address, coroutine, self.task_name(name), state, text(self.sure(waiter)).rpartition('.')[2], self.waiter_name(waiter), frames)

    def fields(self, address):
        """(what it waits for or 0, its coroutine, its name or 0); a coroutine of 0 is not Python's own, one of None is freed. In a
        task of C they stand in this order side by side, and are found by what they are; one of Python has them as attributes."""
        kind = self.view.word(address + 8)
        if kind in self.places:
            words = self.view.words(address + self.places[kind], 3)
            return (0, None, 0) if not words[1] else words if self.sure(words[1]) in GENERATORS else (0, 0, 0)
        size = self.view.word(kind + TP_BASICSIZE)
        words = self.view.words(address, min(size // 8, 40))
        found = [at for at in range(3, len(words) - 1) if self.kind(words[at]) in GENERATORS and self.follows(words[at + 1])]
        if len(found) == 1:
            self.places[kind] = 8 * (found[0] - 1)
            return words[found[0] - 1:found[0] + 2]
        row = self.members(self.attributes(address), '_fut_waiter', '_coro', '_name')
        if '_coro' not in row:
            for word in words[3:]:
                if word & 0xffffffff > CACHE_PAGE and not word & 7:      # no number
                    self.sure(word)
            return 0, 0, 0
        waiter = row.get('_fut_waiter', 0)
        return (waiter if waiter and self.sure(waiter) != b'NoneType' else 0, row['_coro'] if self.sure(row['_coro']) in GENERATORS else 0,
                row.get('_name', 0))

    def follows(self, word):
        """What stands behind a task's coroutine: its name (3.12 on a number until it is asked for), in 3.7 its context."""
        return self.kind(word) in ((b'str', b'int') if self.layout.minor >= 8 else (b'Context',))

    def task_name(self, address):
        """Its name, 'Task-7' of the number 7; '' before 3.8."""
        kind = self.kind(address) if self.layout.minor >= 8 else b''
        if kind == b'int':                              # 30 bits a digit; their number is above 3 bits of flags
            return 'Task-%d' % (self.view.int32(address + 24) & 0x3fffffff)
        return self.python.string(address, self.view) if kind == b'str' else ''

    def waiter_name(self, waiter):
        """The name of an awaited task, '' of any other future."""
        try:
            return self.task_name(self.fields(waiter)[2]) if self.kind(waiter).endswith(b'Task') else ''
        except (Unreadable, Torn):
            return ''

    # - its stack

    def stack(self, coroutine):
        """(state, named frames innermost first, what the innermost awaits) of a task's coroutine.

        A running one's frames are those of the thread that runs it. A suspended one awaits the next, which is suspended too,
        else what was read is torn.
        """
        state, frame, awaited = self.suspended(coroutine)
        if state == RUNNING:
            return state, self.running_frames(frame), 0
        if state != SUSPENDED:
            return state, (self.named(frame),) if frame else (), 0
        rows, seen = [self.named(frame)], {coroutine}
        while awaited and len(rows) < FRAME_LIMIT:
            if awaited in seen:
                raise Torn()
            seen.add(awaited)
            kind = self.sure(awaited)
            if kind in AWAIT_WRAPPERS:
                awaited = self.view.word(awaited + 16)
            elif kind in GENERATORS:
                state, frame, awaited = self.suspended(awaited)
                if state != SUSPENDED:
                    raise Torn()
                rows.append(self.named(frame))
            elif kind == b'NoneType':                   # what is sent into it: it is just going on
                raise Torn()
            else:
                break
        return SUSPENDED, tuple(rows[:-AWAIT_LIMIT - 1:-1]), awaited

    def running_frames(self, frame):
        """Those of the thread that runs it, if it is still where it was."""
        if frame not in self.running:
            raise Torn()
        state, stack, frames = self.running[frame]
        view = self.python.memory.fresh()
        if read_frames(self.python, view, top_frame(view, self.layout, state)) != stack:
            raise Torn()
        return tuple(frames[:AWAIT_LIMIT])

    def suspended(self, address):
        """(state, Frame, the object that it awaits or 0) of a coroutine or generator; of a running one its frame's address."""
        old = self.layout.minor <= 10
        frame = self.view.word(address + self.layout.g_frame) if old else address + self.layout.g_frame
        state = self.state(address, frame)
        if state in (FINISHED, RUNNING):
            return state, frame if state == RUNNING else None, 0
        code = self.view.word(frame + self.layout.f_code)
        lasti = instruction(self.view, self.layout, frame)
        if not old:
            lasti -= code + self.layout.c_code
        known = self.python.code(code)
        if not -16 <= lasti < 1 << 24:
            raise Torn()
        found = Frame(frame, code, lasti if state == SUSPENDED else -1)
        if state == SUSPENDED and self.kind(address) != b'coroutine' and not self.delegates(address, known, lasti):
            return state, found, 0                      # a bare yield
        return state, found, self.stack_top(frame, known) if state == SUSPENDED else 0

    def state(self, address, frame):
        """gi_frame_state: -3 (3.13) or -2 created, -1 (3.13 also -2) suspended, 0 running, above finished. To 3.9 it is put
        together as gen_getrunning and inspect.getgeneratorstate do."""
        layout, view = self.layout, self.view
        if layout.minor <= 10 and not frame:
            return FINISHED
        if layout.minor <= 9:
            if view.read(address + layout.g_state, 1)[0]:
                return RUNNING
            return CREATED if view.int32(frame + layout.f_instr) < 0 else SUSPENDED if view.word(frame + layout.f_height) else FINISHED
        at = frame + layout.f_state if layout.minor == 10 else address + layout.g_state
        value = view.read(at, 1)[0]
        value = value - 256 if value > 127 else value
        created = -3 if layout.minor >= 13 else -2
        if not created <= value <= 4:
            raise Torn()
        return CREATED if value == created else SUSPENDED if value < 0 else RUNNING if value == 0 else FINISHED

    def delegates(self, address, code, lasti):
        """Whether a generator stands in a `yield from` or await rather than in a bare yield, as _PyGen_yf finds it out: the next
        instruction is YIELD_FROM (72), in 3.11 and 3.12 a RESUME (150, 151, 240) of kind 2 or 3; 3.13 has a state."""
        if self.layout.minor >= 13:
            return self.view.read(address + self.layout.g_state, 1)[0] == 255
        if self.layout.minor <= 10:
            return self.view.read(self.view.word(code.address + self.layout.c_code) + 32 + lasti + 2, 1)[0] == 72
        number, argument = self.view.read(code.address + self.layout.c_code + lasti + 2, 2)
        return number in (150, 151, 240) and argument & 3 >= 2

    def stack_top(self, frame, code):
        """The word on top of a suspended frame's value stack."""
        layout, view = self.layout, self.view
        if layout.minor <= 9:
            return view.word(view.word(frame + layout.f_height) - 8)
        height = view.int32(frame + layout.f_height)
        if layout.minor == 10:
            bottom, low, high = view.word(frame + layout.f_stack), 1, code.stacksize
        else:
            bottom, low, high = frame + layout.f_locals, code.nlocals + 1, code.nlocals + code.stacksize
        if not low <= height <= high:
            raise Torn()
        return view.word(bottom + 8 * (height - 1))

    def named(self, frame):
        """(function, file, line) of a Frame; one that was not started stands at its `def`."""
        key = frame[1:]
        if key not in self.python.lines:
            code = self.python.code(frame.code)
            line = line_of(self.layout.minor, code, frame.lasti) if frame.lasti >= 0 else code.first
            self.python.lines[key] = (code.shown, code.file, line)
        return self.python.lines[key]


# --- the entry for the guarded child

def python_stacks(pid, tids, deadline_s=2.0, max_threads=5000):
    """Stacks, GIL and lock waits of a CPython process as plain values, or None where it is none.

    {'version', 'free_threaded', 'file', 'interpreters': [id], 'error': '' or a sentence, 'threads': [...], 'gil': [...],
     'reads', 'seconds'}. A thread: {'tid' (None: not found out), 'interpreter', 'frames': [(function, file,
    line)] innermost first, 'moving', 'cut' (deeper than FRAME_LIMIT), 'waits_gil', 'locks': [{'tid', 'kind', 'lock',
    'address', 'owner_tid', 'owner_how', 'owner_frame'}]}. 'asyncio' is None or what pending_tasks says. Two calls
    compare: a thread's frames, and each GIL's holder_tid and switch_number.
    """
    started = time.monotonic()
    report = {'version': '', 'free_threaded': False, 'file': '', 'interpreters': [], 'error': '', 'threads': [], 'gil': [],
              'asyncio': None, 'reads': 0, 'seconds': 0.0}
    task = live_task(pid)
    mappings = maps_of(task)
    try:
        os.close(os.open(task + '/maps', os.O_RDONLY | os.O_CLOEXEC))
        if not mappings:                                # a kernel thread, a zombie
            return None
        memory = Memory(task, mappings, started + deadline_s)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH):
            return None
        report['error'] = 'its memory cannot be read (%s)' % errno.errorcode.get(error.errno, error.errno)
        return report
    budget = memory.left[0]
    try:
        runtime = open_runtime(task, memory, mappings)
        if runtime is None:
            return None
        fill_report(report, memory, runtime, pid, tids, max_threads)
    except NotKnown as error:
        report['error'] = str(error)
    except Enough:
        report['error'] = 'reading its Python stacks took too long: what was read till then is shown'
    except (Unreadable, Torn):
        report['error'] = 'its memory cannot be read, or is not laid out like that of CPython ' + (report['version'] or '3')
    finally:
        memory.close()
    report.update(reads=budget - memory.left[0], seconds=round(time.monotonic() - started, 4),
                  threads=join_interpreters(report['threads']))
    return report


def fill_report(report, memory, runtime, pid, tids, max_threads):
    """The parts in the order of their worth, so that a bound met in between leaves what was read."""
    address = runtime_address(runtime)
    report['file'] = runtime.path
    minor, report['version'], report['free_threaded'] = python_version(memory, runtime, address)
    layout = layout_of(memory, minor, report['free_threaded'], address)
    python = Python(memory, layout)
    start = address if minor > 6 else head_36(memory, runtime)
    for attempt in range(4):
        try:
            found = interpreters(python, start)
            threads = thread_states(python, found, max_threads)
            break
        except (Unreadable, Torn):
            if attempt == 3:
                raise
    if not threads:
        raise NotKnown('CPython %s has no thread: it is not started yet, or already ended' % report['version'])
    report['interpreters'] = sorted(name for _, name in found)
    numbers = thread_numbers(pid, tids)
    native = native_threads(python, threads, numbers)
    report['gil'] = gil_report(python, address, runtime, found, native)
    rows = {}
    stacks, frames, futexes = {}, {}, {}
    for thread in threads:
        call = thread_call(pid, native[thread.state])
        futexes[thread.state] = futex_word(call, runtime.machine)
        stacks[thread.state], moving = thread_frames(python, thread.state, len(call) < 2)
        frames[thread.state] = named_frames(python, stacks[thread.state])
        rows[thread.state] = {'tid': native[thread.state], 'interpreter': thread.number, 'frames': frames[thread.state],
                              'moving': moving, 'cut': len(stacks[thread.state]) >= FRAME_LIMIT, 'waits_gil': False, 'locks': []}
        report['threads'].append(rows[thread.state])
    add_waits(report, python, threads, native, stacks, frames, rows, futexes,
              lambda state: futex_word(thread_call(pid, native[state]), runtime.machine))
    for gil, again in zip(report['gil'], gil_report(python, address, runtime, found, native)):
        gil['steady'] = all(gil[name] == again[name] for name in ('address', 'locked', 'holder_tid', 'switch_number'))
    if uses_asyncio(runtime.paths, frames.values()):
        report['asyncio'] = pending_tasks(python, found, stacks, frames)


def join_interpreters(rows):
    """One row a thread, by tid: a thread that went from one interpreter into another has a state in each.

    The later interpreter (the higher id) is the inner one: its frames come first.
    """
    found = collections.OrderedDict()
    for row in sorted(rows, key=lambda row: (row['tid'] is None, row['tid'] or 0, -row['interpreter'])):
        inner = found.setdefault(row['tid'] if row['tid'] is not None else -1 - len(found), row)
        if inner is not row and row['frames']:
            inner.update(frames=inner['frames'] + row['frames'], moving=inner['moving'] or row['moving'],
                         waits_gil=inner['waits_gil'] or row['waits_gil'], locks=inner['locks'] or row['locks'],
                         interpreter=inner['interpreter'] if len(inner['frames']) else row['interpreter'])
    return list(found.values())


def named_frames(python, stack):
    found = []
    for frame in stack:
        code = python.code(frame.code)
        found.append((code.shown, code.file, line_of(python.layout.minor, code, frame.lasti)))
    return found


def add_waits(report, python, threads, native, stacks, frames, rows, futexes, again):
    """Who waits for a GIL, and for which lock. A thread must sleep on the same futex before and after the look (`again`)."""
    records = describe_locks(python, threads, stacks, find_waits(python, stacks, futexes), native, frames)
    parked = set()
    for gil in report['gil']:
        parked |= musl_waiters(python.memory.fresh(), gil['condition'])
    for state, row in rows.items():
        if sleeps_on_gil(report['gil'], parked, row['tid'], futexes[state], lambda: again(state)):
            row['waits_gil'] = True
        elif state in records and again(state) == futexes[state]:
            row['locks'] = [records[state]]


def musl_waiters(view, condition):
    """Futex words of those who wait on a condition variable of musl: a list of nodes {prev, next, state, barrier} on their
    stacks, its head at 8. glibc has a small number there, which leads nowhere."""
    found = set()
    try:
        node = view.word(condition + 8) if condition else 0
        while node > CACHE_PAGE and node + 20 not in found and len(found) < 5000:
            found.add(node + 20)
            node = view.word(node + 8)
    except Unreadable:
        pass
    return found


def sleeps_on_gil(gils, parked, tid, futex, again):
    """Whether a thread sleeps on a condition or mutex inside a GIL that another thread holds. Such a sleeper wakes every 5 ms
    to ask for the GIL, so one that is just awake is looked at again."""
    for gil in gils:
        for _ in range(4):
            if gil['address'] and futex is not None and (0 <= futex - gil['address'] < GIL_SIZE or futex in parked):
                return True
            if tid is None or not gil['locked'] or gil['holder_tid'] == tid or futex is not None:
                break
            futex = again()
    return False


# --- what the stacks say: pure, for the reports


LIBRARY_FILE = re.compile(r'^<frozen |/python3(\.\d+)?t?(/|\.zip)|(^|/)asyncio/\w+\.py$'
                          r'|(^|/)(selectors|threading|queue|socket|ssl|subprocess)\.py$')


def library_file(path):
    """Whether a file is of the standard library rather than the user's."""
    return LIBRARY_FILE.search(path) is not None and not re.search('site-packages|dist-packages', path)


def python_summary(frames):
    """What a thread's frames say of an event loop: ('idle', None), ('blocked', innermost user frame) or (None, None).

    Blocked: the loop runs a callback (asyncio/events.py _run below _run_once), so whatever that callback calls holds up all
    others. Whether it lasts is for the caller to know: two looks with the same frames.
    """
    files = bare(frames)
    for at, (function, file) in enumerate(files):
        if function == '_run_once' and file.endswith('asyncio/base_events.py'):
            if at and files[at - 1][0] == '_run' and files[at - 1][1].endswith('asyncio/events.py'):
                own = [frame for frame in frames[:at - 1] if not library_file(frame[1])]
                return 'blocked', tuple((own or list(frames[:max(at - 1, 1)]))[0])
            if at and files[0][0] == 'select' and files[0][1].endswith('selectors.py'):
                return 'idle', None
            return None, None
    return None, None


# ROOM JAVA ===================================================================
# Which thread of a HotSpot JVM waits for which lock, who holds it, and the methods on its stack.
#
# jvm_threads runs in the guarded child and answers with plain values. The JVM need not answer, as it must for jstack:
# libjvm.so publishes its own structures (gHotSpotVMStructs: type, field, offset), so there are no version tables here.
# An owner is named only where exactly one live JavaThread fits what the monitor says, and two looks with fresh reads agree.
# Not seen: line numbers; methods that the compiler inlined into their callers; virtual threads that are not mounted (they
# wait without a thread, and a lock that one of them holds has no owner here). To add a field: a row of JVM_FIELDS.

JVM_FIELDS = (
    # Ours          Type.field of the JVM; several where it moved: the first that this JVM has. JDK numbers in comments.
    ('list',        'ThreadsSMRSupport._java_thread_list'),                                     # 12 on
    ('list_length', 'ThreadsList._length'),
    ('list_rows',   'ThreadsList._threads'),
    ('first',       'Threads._thread_list'),                                                    # to 11
    ('next',        'JavaThread._next'),
    ('osthread',    'JavaThread._osthread Thread._osthread'),
    ('os_tid',      'OSThread._thread_id'),
    ('os_state',    'OSThread._state'),
    ('stack_base',  'JavaThread._stack_base Thread._stack_base'),                               # the high end
    ('stack_size',  'JavaThread._stack_size Thread._stack_size'),
    ('pending',     'JavaThread._current_pending_monitor Thread._current_pending_monitor'),     # blocked at its entry
    ('waiting',     'JavaThread._current_waiting_monitor Thread._current_waiting_monitor'),     # inside Object.wait
    ('thread_oop',  'JavaThread._threadObj'),
    ('owner_id',    'JavaThread._monitor_owner_id'),                                            # 24 on
    ('locks',       'JavaThread._lock_stack'),                                                  # 21 on
    ('locks_top',   'LockStack._top'),
    ('locks_base',  'LockStack._base[0]'),
    ('object',      'ObjectMonitor._object'),
    ('owner',       'ObjectMonitor._owner'),
    ('locker',      'ObjectMonitor._stack_locker'),                                             # 24 on
    ('anchor',      'JavaThread._anchor'),
    ('sp',          'JavaFrameAnchor._last_Java_sp'),
    ('pc',          'JavaFrameAnchor._last_Java_pc'),
    ('fp',          'JavaFrameAnchor._last_Java_fp'),
    ('call_anchor', 'JavaCallWrapper._anchor'),
    ('call_return', 'StubRoutines._call_stub_return_address'),
    ('heaps',       'CodeCache._heaps'),                                                        # 9 on
    ('heap',        'CodeCache._heap'),                                                         # 8
    ('array_length', 'GrowableArrayBase._len GenericGrowableArray._len'),
    ('array_data',  'GrowableArray<int>._data'),
    ('heap_memory', 'CodeHeap._memory'),
    ('heap_segmap', 'CodeHeap._segmap'),
    ('heap_log2',   'CodeHeap._log2_segment_size'),
    ('low',         'VirtualSpace._low'),
    ('high',        'VirtualSpace._high'),
    ('blob_name',   'CodeBlob._name'),
    ('blob_frame',  'CodeBlob._frame_size'),                                                    # in words
    ('blob_method', 'nmethod._method CompiledMethod._method'),
    ('method',      'Method._constMethod'),
    ('constants',   'ConstMethod._constants'),
    ('name_index',  'ConstMethod._name_index'),
    ('pool_holder', 'ConstantPool._pool_holder'),
    ('klass_name',  'Klass._name'),
    ('klass_super', 'Klass._super'),
    ('klass_root',  'Klass._primary_supers[0]'),
    ('vtable',      'Klass._vtable_len InstanceKlass._vtable_len'),
    ('itable',      'InstanceKlass._itable_len'),
    ('oop_maps',    'InstanceKlass._nonstatic_oop_map_size'),
    ('symbol_size', 'Symbol._length'),
    ('symbol_body', 'Symbol._body[0] Symbol._body'),
    ('klass_base',  'CompressedKlassPointers._base CompressedKlassPointers._narrow_klass._base Universe._narrow_klass._base'),
    ('klass_shift', 'CompressedKlassPointers._shift CompressedKlassPointers._narrow_klass._shift Universe._narrow_klass._shift'),
    ('oop_base',    'CompressedOops._base CompressedOops._narrow_oop._base Universe._narrow_oop._base'),
    ('oop_shift',   'CompressedOops._shift CompressedOops._narrow_oop._shift Universe._narrow_oop._shift'),
    ('class_klass', 'java_lang_Class._klass_offset'),
    ('zgc',         'ZGlobalsForVMStructs._instance_p'),
    ('zgc_shift',   'ZGlobalsForVMStructs._ZPointerLoadShift'),                                 # 21 on
    ('release',     'Abstract_VM_Version._s_vm_release'),
)
JVM_NEEDED = ('osthread', 'os_tid', 'stack_base', 'stack_size', 'pending', 'waiting', 'object', 'owner', 'klass_name', 'klass_root',
              'symbol_size', 'symbol_body')
MONITOR_WAIT = 3                                        # OSThread._state of a thread that is blocked at a monitor, 8 to 25
ANONYMOUS_OWNER = 1                                     # 21 on: held since before the monitor was made; its holder knows
CALL_WRAPPER = {'x86_64': -48, 'aarch64': -64}          # of JavaCallWrapper* from the frame pointer of the call stub
JAVA_FRAMES = 200                                       # innermost frames
UNSAFE_PARK = re.compile(r'(^|\.)Unsafe\.park$')
SYNCHRONIZER = 'java.util.concurrent.locks.AbstractOwnableSynchronizer'

JavaThread = NamedTuple('JavaThread', [('address', int), ('tid', int), ('state', int), ('pending', int), ('waiting', int),
                                       ('low', int), ('high', int), ('owner_id', int), ('locks', tuple), ('anchor', tuple)])


def find_java(mappings):
    """Whether a JVM is loaded, from names alone: cheap. A native image of GraalVM has none."""
    return any(mapping.path.replace(' (deleted)', '').endswith('/libjvm.so') for mapping in mappings if mapping.inode)


class Jvm:
    """One JVM: its published offsets as attributes (a static field is its address), None where it has no such field."""

    def __init__(self, task, memory, mappings):
        rows = [row for row in mappings if row.inode and row.path.replace(' (deleted)', '').endswith('/libjvm.so')]
        rows = [row for row in rows if (row.dev, row.inode) == (rows[0].dev, rows[0].inode)]
        if any('/libj9vm' in row.path for row in mappings):
            raise NotKnown('its Java VM is OpenJ9, which publishes no structures: reading its threads is not done')
        elf, bias, descriptor = load_elf(task, memory, rows)
        if elf.wrong or bias is None:
            raise NotKnown('%s: %s' % (rows[0].path, elf.wrong or 'its mappings do not fit the file'))
        self.memory, self.machine, self.names, self.classes, self.blobs = memory, elf.machine, {}, {}, {}
        try:
            self.read_tables(lambda name: memory.word(bias + elf.symbol(name.encode())))
        except TypeError:                               # a symbol is None
            raise NotKnown('%s does not publish its structures (gHotSpotVMStructs)' % rows[0].path)
        finally:
            if descriptor is not None:
                os.close(descriptor)
        missing = [name for name in JVM_NEEDED if getattr(self, name) is None]
        if missing:
            raise NotKnown('%s does not publish where %s is' % (rows[0].path, missing[0]))
        self.coloured = self.is_coloured(memory)
        self.version = text(memory.cstring(memory.word(self.release))) if self.release else ''

    def read_tables(self, variable):
        """Offsets, type names of fields (`kinds`) and sizes of types. Each table ends with a row of nulls."""
        wanted = set(name for _, names in JVM_FIELDS for name in names.split())
        columns = [variable('gHotSpotVMStructEntry' + name) for name in (
            'TypeNameOffset', 'FieldNameOffset', 'TypeStringOffset', 'IsStaticOffset', 'OffsetOffset', 'AddressOffset')]
        found = {}
        for row in self.table(variable('gHotSpotVMStructs'), variable('gHotSpotVMStructEntryArrayStride'), columns):
            name = '%s.%s' % (self.string(row[0]), self.string(row[1]))
            if name in wanted:
                found[name] = row[5] if row[3] & 0xffffffff else row[4], self.string(row[2])
        self.kinds = {}
        for ours, names in JVM_FIELDS:
            name = next((name for name in names.split() if name in found), None)
            setattr(self, ours, found[name][0] if name else None)
            self.kinds[ours] = found[name][1] if name else ''
        columns = [variable('gHotSpotVMTypeEntry' + name) for name in ('TypeNameOffset', 'SizeOffset')]
        rows = self.table(variable('gHotSpotVMTypes'), variable('gHotSpotVMTypeEntryArrayStride'), columns)
        self.sizes = dict((self.string(name), size) for name, size in rows)

    def table(self, address, stride, columns):
        if not 8 <= stride <= 256 or any(column > stride - 4 for column in columns):
            raise Torn()
        for _ in range(10000):
            data = self.memory.read(address, stride + 8)    # a column may be an int at its end
            row = [WORD.unpack_from(data, column)[0] for column in columns]
            if not row[0]:
                return
            yield row
            address += stride
        raise Torn()

    def string(self, address):
        if address not in self.names:
            self.names[address] = text(self.memory.cstring(address)) if address else ''
        return self.names[address]

    # --- classes and objects

    def symbol(self, view, address):
        size = struct.unpack('<H', view.read(address + self.symbol_size, 2))[0]
        return text(view.read(address + self.symbol_body, min(size, 400)))

    def class_name(self, view, klass):
        """'java.util.ArrayList' of a Klass, or Unreadable where it is none: the first of all its supers must be Object."""
        if klass not in self.classes:
            if klass < 4096 or klass & 7 or klass >> 56:
                raise Unreadable()
            root = view.word(klass + self.klass_root)
            if root & 7 or self.symbol(view, view.word(root + self.klass_name)) != 'java/lang/Object':
                raise Unreadable()
            name = re.sub(r'\+0x[0-9a-f]+$|/(0x[0-9a-f]+|\d+)$', '', self.symbol(view, view.word(klass + self.klass_name)))
            self.classes[klass] = name.replace('/', '.')
        return self.classes[klass]

    def klass_of(self, view, oop):
        """Klass of an object: a pointer, a compressed pointer, or bits of the header. The one that is a class decides."""
        if oop < 4096 or oop & 7 or oop >> 56:
            raise Unreadable()
        mark, word = struct.unpack('<QQ', view.read(oop, 16))
        base, shift = view.word(self.klass_base) if self.klass_base else 0, view.int32(self.klass_shift) if self.klass_shift else 0
        for klass in (word, base + ((word & 0xffffffff) << (shift & 31)), base + (mark >> 42 << (shift & 31))):
            try:
                self.class_name(view, klass)
                return klass
            except Unreadable:
                pass
        raise Unreadable()

    def is_coloured(self, view):
        """Whether references have colours of generational ZGC in their low bits: it sets by how much to shift them, 0 without it."""
        if not self.zgc or self.zgc_shift is None:
            return False
        return 0 < view.word(view.word(view.word(self.zgc) + self.zgc_shift)) < 32

    def object_at(self, view, word):
        """(address, class name) of the object that a word of the JVM refers to, or (0, ''). The shift of a coloured one depends on
        its colour: the one that leads to an object."""
        for oop in [word] + [word >> shift for shift in (13, 14, 15, 16) if self.coloured]:
            try:
                return oop, self.class_name(view, self.klass_of(view, oop))
            except Unreadable:
                pass
        return 0, ''

    def monitor_object(self, view, monitor):
        """The object of a monitor: directly (to 14), or through a handle."""
        word = view.word(monitor + self.object)
        try:
            found = self.object_at(view, view.word(word)) if not word & 7 else (0, '')
        except Unreadable:
            found = 0, ''
        return found if found[0] else self.object_at(view, word)

    def shown_class(self, view, oop, name):
        """A class's own lock (static synchronized) is a java.lang.Class: which one it is of."""
        try:
            if name == 'java.lang.Class' and self.class_klass:
                return 'class ' + self.class_name(view, view.word(oop + view.int32(self.class_klass)))
        except Unreadable:
            pass
        return name

    # --- frames

    def method_name(self, view, method):
        const = view.word(method + self.method)
        pool = view.word(const + self.constants)
        index = struct.unpack('<H', view.read(const + self.name_index, 2))[0]
        name = self.symbol(view, view.word(pool + self.sizes['ConstantPool'] + 8 * index))
        return '%s.%s' % (self.class_name(view, view.word(pool + self.pool_holder)), name)

    def code_heaps(self, view):
        if not self.heaps:
            return [view.word(self.heap)] if self.heap else []
        array = view.word(self.heaps)
        return view.words(view.word(array + self.array_data), min(view.int32(array + self.array_length), 16))

    def find_blob(self, view, pc):
        """(name, frame size in bytes, Method* or 0) of the code at pc, or None. A byte of the segment map says how many segments
        the block's start is back, at most: follow them to 0; 255 is free."""
        for heap in self.code_heaps(view):
            low, high = view.word(heap + self.heap_memory + self.low), view.word(heap + self.heap_memory + self.high)
            if not low <= pc < high:
                continue
            log2 = view.int32(heap + self.heap_log2) & 31
            segmap, at = view.word(heap + self.heap_segmap + self.low), (pc - low) >> log2
            for _ in range(4096):
                back = view.read(segmap + at, 1)[0]
                if back in (0, 255):
                    break
                at -= back
            if back:
                return None
            blob = low + (at << log2) + self.sizes['HeapBlock']
            name = text(view.cstring(view.word(blob + self.blob_name)))
            return name, 8 * view.int32(blob + self.blob_frame), view.word(blob + self.blob_method) if 'nmethod' in name else 0
        return None

    def anchor_at(self, view, address):
        """(sp, pc, fp) of the last Java frame; sp 0: the thread runs Java code now, or never has. A pc of 0 stands below sp."""
        sp, pc, fp = [view.word(address + offset) for offset in (self.sp, self.pc, self.fp)]
        return sp, pc or (view.word(sp - 8) if sp else 0), fp

    def frames(self, view, thread):
        """Method names, innermost first, as far as each step is certain.

        Interpreted: Method* at fp-24, the sender's sp at fp-8. Compiled: the frame's size is known, the return address is at its
        top, the sender's fp below that. The call stub has the anchor of the Java frames before the JVM's own.
        """
        found, (sp, pc, fp) = [], thread.anchor
        try:
            while thread.low <= sp < thread.high and len(found) < JAVA_FRAMES:
                last = sp
                if pc == self.call_stub:
                    sp, pc, fp = self.anchor_at(view, view.word(fp + CALL_WRAPPER[self.machine]) + self.call_anchor)
                else:
                    if pc not in self.blobs:
                        self.blobs[pc] = self.find_blob(view, pc)
                    name, size, method = self.blobs[pc] or ('', 0, 0)
                    if name == 'Interpreter' and sp <= fp < thread.high:
                        found.append(self.method_name(view, view.word(fp - 24)))
                        sp, pc, fp = view.word(fp - 8), view.word(fp + 8), view.word(fp)
                    elif 0 < size < 1 << 20:
                        found += [self.method_name(view, method)] if method else []
                        sp, pc, fp = sp + size, view.word(sp + size - 8), view.word(sp + size - 16)
                    else:
                        break
                if sp <= last:
                    break
        except (Unreadable, TypeError, KeyError):       # a field that this JVM has not
            pass
        return found

    # --- java.util.concurrent: by the map of an object's references, for which no names of fields are needed

    def ancestor(self, view, klass, name):
        """The class of that name among a class and its supers, or 0."""
        for _ in range(20):
            if not klass or self.class_name(view, klass) == name:
                return klass
            klass = view.word(klass + self.klass_super)
        return 0

    def references(self, view, oop, klass):
        """Words that may be references in the part of an object that `klass` and its supers lay out: each as a compressed reference
        and as a pointer, for which of both this JVM has is not published. What they point at must be checked."""
        start = (klass + self.sizes['InstanceKlass']
                 + 8 * (view.int32(klass + self.vtable) + view.int32(klass + self.itable)))
        base, shift = view.word(self.oop_base), view.int32(self.oop_shift) & 31
        found = []
        for at in range(min(view.int32(klass + self.oop_maps), 16)):
            offset, count = struct.unpack('<iI', view.read(start + 8 * at, 8))
            if not 0 < offset < 4096 or count > 64:
                raise Unreadable()
            for step in range(count):
                narrow = view.int32(oop + offset + 4 * step) & 0xffffffff
                wide = view.word(oop + offset + 8 * step) if not offset & 7 else 0
                found += [base + (narrow << shift)] * bool(narrow) + [wide] * bool(wide)
        return found

    def thread_object(self, view, thread):
        word = view.word(thread + self.thread_oop)
        return self.object_at(view, word if self.kinds['thread_oop'] == 'oop' else view.word(word))[0]

    def parked_on(self, view, thread, objects):
        """(address, class name, owner's tid or None) of the lock of java.util.concurrent that a parked thread waits for, or None.

        Thread.parkBlocker is the only field of a Thread that refers to one, but for the Runnable of a ThreadPoolExecutor's thread:
        that is a lock which nobody but its own thread ever owns. Its owner is the one reference of AbstractOwnableSynchronizer.
        """
        oop = next((oop for oop, tid in objects.items() if tid == thread.tid), 0)
        klass = self.ancestor(view, self.klass_of(view, oop), 'java.lang.Thread')
        locks = {}
        for word in self.references(view, oop, klass):
            lock, name = self.object_at(view, word)
            top = self.ancestor(view, self.klass_of(view, lock), SYNCHRONIZER) if lock else 0
            if top and name != 'java.util.concurrent.ThreadPoolExecutor$Worker':
                owners = set(self.object_at(view, word)[0] for word in self.references(view, lock, top))
                owners = set(objects[owner] for owner in owners if owner in objects)
                locks[lock] = name, owners.pop() if len(owners) == 1 else None
        return [(lock,) + row for lock, row in locks.items()][0] if len(locks) == 1 else None


# --- threads and their monitors

def java_thread_addresses(jvm, view):
    if jvm.list:
        rows = view.word(jvm.list)
        count = view.int32(rows + jvm.list_length) if rows else 0
        if not 0 <= count <= 50000:
            raise Torn()
        return list(view.words(view.word(rows + jvm.list_rows), count)) if count else []
    found, address = [], view.word(jvm.first) if jvm.first else 0
    while address and len(found) < 50000:
        found.append(address)
        address = view.word(address + jvm.next)
    return found


def java_thread(jvm, view, address, numbers):
    """A JavaThread that is alive, or None: one that starts or ends has no native thread."""
    os_thread = view.word(address + jvm.osthread)
    tid = numbers.get(view.int32(os_thread + jvm.os_tid)) if os_thread else None
    if tid is None:
        return None
    high = view.word(address + jvm.stack_base)
    locks = ()
    if None not in (jvm.locks, jvm.locks_top, jvm.locks_base):
        used = view.int32(address + jvm.locks + jvm.locks_top) - (jvm.locks + jvm.locks_base)
        locks = view.words(address + jvm.locks + jvm.locks_base, used // 8) if 0 < used <= 512 else ()
    anchor = jvm.anchor_at(view, address + jvm.anchor) if None not in (jvm.anchor, jvm.sp, jvm.pc, jvm.fp) else (0, 0, 0)
    return JavaThread(address, tid, view.int32(os_thread + jvm.os_state) if jvm.os_state is not None else -1,
                      view.word(address + jvm.pending), view.word(address + jvm.waiting),
                      high - view.word(address + jvm.stack_size), high,
                      view.word(address + jvm.owner_id) if jvm.owner_id is not None else 0, tuple(locks), anchor)


def java_threads(jvm, view, numbers):
    found = []
    for address in java_thread_addresses(jvm, view):
        try:
            thread = java_thread(jvm, view, address, numbers)
        except Unreadable:
            continue
        found += [thread] if thread else []
    if len(set(thread.tid for thread in found)) < len(found):
        raise Torn()
    return found


def monitor_owner(jvm, view, monitor, oop, threads):
    """tid of the one thread that holds a monitor, or None.

    The owner is a JavaThread* or an address of a lock record on its stack (to 23), the owner's id (24 on), or anonymous: then the
    holder has the object on its lock stack, or the lock record on its stack. Any other small number marks a monitor in change.
    """
    owner = view.word(monitor + jvm.owner)
    locker = view.word(monitor + jvm.locker) if jvm.locker is not None else 0
    if owner == ANONYMOUS_OWNER and jvm.locks is not None:
        found = [thread for thread in threads if oop and oop in thread.locks or thread.low <= locker < thread.high]
    elif owner < 3:
        found = []
    elif jvm.owner_id is not None and 'int64' in jvm.kinds['owner']:
        found = [thread for thread in threads if thread.owner_id == owner]
    else:
        found = [thread for thread in threads if thread.address == owner or thread.low <= owner < thread.high]
    return found[0].tid if len(found) == 1 else None


def monitor_wait(jvm, view, thread, threads):
    """(monitor, class, owner's tid, monitor of Object.wait) of a thread. A waiter that woke (time out, interrupt) is blocked like
    one at the entry: its state says so. One that was notified sleeps on in `waiting`, till the notifier lets go: not told apart."""
    again = thread.waiting if thread.state == MONITOR_WAIT else 0
    monitor = thread.pending or again
    if not monitor and not thread.waiting:
        return 0, '', None, 0
    try:
        oop, name = jvm.monitor_object(view, monitor or thread.waiting)
        owner = monitor_owner(jvm, view, monitor, oop, threads) if monitor else None
    except Unreadable:
        return 0, '', None, 0
    return monitor, jvm.shown_class(view, oop, name), owner if owner != thread.tid else None, thread.waiting


def look(jvm, view, numbers):
    """{tid: (JavaThread, monitor_wait)} of one look."""
    threads = java_threads(jvm, view, numbers)
    return dict((thread.tid, (thread, monitor_wait(jvm, view, thread, threads))) for thread in threads)


def parked(jvm, view, threads, tids):
    """{tid: (lock, class, owner's tid)} of threads parked for java.util.concurrent."""
    found, objects = {}, {}
    try:
        objects = dict((jvm.thread_object(view, thread.address), thread.tid) for thread in threads)
    except (Unreadable, TypeError):
        return {}
    for thread in threads:
        try:
            lock = jvm.parked_on(view, thread, objects) if thread.tid in tids else None
        except (Unreadable, TypeError, KeyError):
            continue
        if lock:
            found[thread.tid] = lock[:2] + (lock[2] if lock[2] != thread.tid else None,)
    return found


def java_row(thread, monitor, name, owner, waiting):
    return {'tid': thread.tid, 'frames': [], 'waits_monitor': monitor or None, 'waits_lock': None, 'monitor_class': name or None,
            'owner_tid': owner, 'in_wait': waiting or None, 'moving': False}


def still(thread):
    """What must not change between two looks. Not the lock stack: a collector may move objects meanwhile."""
    return thread and (thread.address, thread.state, thread.pending, thread.waiting, thread.anchor)


def fill_java(report, jvm, numbers):
    """Monitors first, frames next; then all of it again, and only what is the same is told."""
    first, view = look(jvm, jvm.memory.fresh(), numbers), jvm.memory.fresh()
    jvm.call_stub = view.word(jvm.call_return) if jvm.call_return else 0
    rows = dict((tid, java_row(thread, *wait)) for tid, (thread, wait) in first.items())
    for tid, row in rows.items():
        row['frames'] = jvm.frames(view, first[tid][0])
    tids = set(tid for tid, row in rows.items() if row['frames'] and UNSAFE_PARK.search(row['frames'][0]))
    locks, view = parked(jvm, view, [thread for thread, _ in first.values()], tids), jvm.memory.fresh()
    second = look(jvm, view, numbers)
    again = parked(jvm, view, [thread for thread, _ in second.values()], tids)
    for tid, row in rows.items():
        thread, (monitor, name, owner, _) = second.get(tid, (None, (0, '', None, 0)))
        if still(thread) != still(first[tid][0]):
            row.update(java_row(first[tid][0], 0, '', None, 0), moving=True)
            continue
        names = set([name, row['monitor_class'] or '']) - {''}  # one look may have none: a collector was moving the object
        row['monitor_class'] = names.pop() if len(names) == 1 else None
        if owner != row['owner_tid'] or names:
            row['owner_tid'] = None
        elif tid in locks and locks[tid][1:] == again.get(tid, ())[1:] and not monitor:
            row.update(waits_lock=locks[tid][0], monitor_class=locks[tid][1], owner_tid=locks[tid][2])
    report['threads'] = [rows[tid] for tid in sorted(rows)]     # last: where a bound was met, nothing unproven is told


def is_native_image(task, memory, mappings):
    """Whether the program is a native image of GraalVM: its heap is a section of the file."""
    try:
        exe = os.readlink(task + '/exe')
    except OSError:
        return False
    rows = [row for row in mappings if row.inode and row.path == exe]
    if not rows:
        return False
    elf, _, descriptor = load_elf(task, memory, rows)
    found = not elf.wrong and elf.section(b'.svm_heap') is not None
    if descriptor is not None:
        os.close(descriptor)
    return found


def jvm_threads(pid, deadline_s=2.0):
    """Threads of a HotSpot JVM as plain values, or None where there is no JVM, or none to be seen (maps not readable).

    {'version', 'error': '' or a sentence, 'threads': [...], 'reads', 'seconds'}. A thread: {'tid', 'frames': ['class.method']
    innermost first, 'waits_monitor': address of the ObjectMonitor that it is blocked entering or None, 'in_wait': that of
    Object.wait or None (both: its wait is over and it wants the monitor back), 'waits_lock': address of the synchronizer of
    java.util.concurrent that it is parked for or None, 'monitor_class': class of the object of either, 'owner_tid': who holds it
    or None, 'moving': it changed between two looks}.
    """
    started = time.monotonic()
    report = {'version': '', 'error': '', 'threads': [], 'reads': 0, 'seconds': 0.0}
    task = live_task(pid)
    mappings = maps_of(task)
    try:
        memory = Memory(task, mappings, started + deadline_s)
        numbers = thread_numbers(pid, [int(name) for name in os.listdir('/proc/%d/task' % pid) if name.isdigit()])
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESRCH) or not find_java(mappings):
            return None
        report['error'] = 'its memory cannot be read (%s)' % errno.errorcode.get(error.errno, error.errno)
        return report
    budget = memory.left[0]
    try:
        if not find_java(mappings):
            if not is_native_image(task, memory, mappings):
                return None
            raise NotKnown('it is a native image of GraalVM, which publishes no structures: reading its threads is not done')
        jvm = Jvm(task, memory, mappings)
        report['version'] = jvm.version
        fill_java(report, jvm, numbers)
    except NotKnown as error:
        report['error'] = str(error)
    except Enough:
        report['error'] = 'reading its Java threads took too long: none is shown'
    except (Unreadable, Torn):
        report['error'] = 'its memory does not look like that of a HotSpot JVM, or cannot be read'
    finally:
        memory.close()
    report.update(reads=budget - memory.left[0], seconds=round(time.monotonic() - started, 4))
    return report


# ROOM LOCKS =================================================================
# What a thread in futex waits for, and who holds it. The kernel tells the address of the word and the C library
# wrote the rest beside it, so everything here is "these bytes look like that struct", and bytes can lie. Hence the
# one rule of this section: an owner is named only when every field that the struct is known to have fits, the word
# is in the state that a contended lock has, and two reads agree. A lock missed costs a vaguer sentence; an owner
# invented costs somebody's night.

FutexWait = NamedTuple("FutexWait", [
    ("tid", int), ("uaddr", int),
    ("op", int),              # as the kernel got it: command and flags
    ("cmd", int),             # one of the FUTEX_ numbers below
    ("private", bool), ("realtime", bool),
    ("val", int),             # 32 bits
    ("timeout_ptr", int),     # 0: waits for ever
    ("bits", int),            # of the process: 32 or 64
])

LockGroup = NamedTuple("LockGroup", [
    ("uaddr", int), ("kind", str), ("waiters", tuple),
    ("owner_tid", int),       # as /proc names it; None: not recorded, not believed, or not of this PID namespace
    ("owner_ns_tid", int),    # as the memory has it: of the innermost PID namespace of the process
    ("owner_how", str),       # which field told
    ("owner_state", str),     # 'live' 'self' 'gone' 'forked' 'elsewhere' 'none' (none is recorded) 'unknown'
    ("place", str), ("pi", bool), ("shared", bool), ("robust", bool), ("note", str),
    ("owner_pid", int),       # of 'forked' and 'elsewhere'; of 'gone' where another process has that number; else None
    ("timed", tuple),         # those of the waiters that have a timeout
])

# What one recogniser makes of one word. `owner`: None where the object records none, 0 where it would but is empty.
Claim = NamedTuple("Claim", [("kind", str), ("owner", int), ("how", str), ("robust", bool), ("note", str)])

FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_LOCK_PI2 = 0, 6, 9, 11, 13
FUTEX_WAITV = -449            # not an operation of futex(2): marks the one call that names several words
FUTEX_WAITING = frozenset((FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_LOCK_PI2))
FUTEX_WAITERS, FUTEX_OWNER_DIED, FUTEX_TID = 0x80000000, 0x40000000, 0x3fffffff
TID_LIMIT = 1 << 22           # the highest value that kernel.pid_max can have
BITS_OF_ARCH = {"x86_64": 64, "aarch64": 64, "i386": 32, "arm": 32, "x32": 32}
PAGE = 4096


# -- words of the target's memory

def last_at(rows, key):
    """Index of the last of the sorted `rows` that is not above `key`; -1: none."""
    import bisect
    return bisect.bisect_right(rows, key) - 1


class Words:
    """Looks up integers in what was read: {address: bytes}. None for what was not; pieces that touch read as one."""

    def __init__(self, pieces):
        self.starts, self.blocks = [], []
        for start in sorted(a for a, data in (pieces or {}).items() if isinstance(data, bytes) and data):
            self._add(start, pieces[start])

    def _add(self, start, data):
        if self.starts:
            end = self.starts[-1] + len(self.blocks[-1])
            if start <= end:
                self.blocks[-1] += data[end - start:]
                return
        self.starts.append(start)
        self.blocks.append(data)

    def upto(self, addr, size):
        """What there is of `size` bytes from `addr`, possibly less, b'' for nothing."""
        at = last_at(self.starts, addr)
        if at < 0 or size <= 0:
            return b""
        skip = addr - self.starts[at]
        return self.blocks[at][skip:skip + size]

    def take(self, addr, size):
        """Exactly `size` bytes, or None."""
        data = self.upto(addr, size)
        return data if len(data) == size else None

    def word(self, addr, size):
        data = self.take(addr, size)
        return None if data is None else int.from_bytes(data, "little")

    def u32(self, addr):
        return self.word(addr, 4)

    def u32s(self, addr, count):
        """`count` consecutive unsigned 32-bit words, or None."""
        data = self.take(addr, 4 * count)
        return None if data is None else struct.unpack("<%dI" % count, data)


def as_words(memory):
    """Words over what was read; building one sorts every piece, so that a caller with many questions builds it once."""
    return memory if isinstance(memory, Words) else Words(memory)


def page_pieces(addr, length):
    """(address, length) rows that cover the range and cross no page border, so that an unmapped neighbour page costs
    only its own piece. Pages are at least 4 KiB everywhere."""
    pieces, end = [], min(addr + length, 1 << 64)
    addr = max(addr, 0)
    while addr < end:
        stop = min(end, addr - addr % PAGE + PAGE)
        pieces.append((addr, stop - addr))
        addr = stop
    return pieces


def union(ranges):
    """The ranges merged, sorted and cut at page borders: one batch to read."""
    merged = []
    for start, length in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], start + length)
        else:
            merged.append([start, start + length])
    return [piece for start, end in merged for piece in page_pieces(start, end - start)]


# -- the call

def futex_call(arch, tid, syscall, name):
    """The FutexWait of a thread blocked in the futex family, else None (another call, or one that does not wait).

    `name` is that of syscall.nr in the table of `arch`. Registers are raw: val may be sign-extended, so it is masked.
    futex_waitv gives one record with cmd FUTEX_WAITV whose uaddr is the array: see waitv_words().
    """
    bits = BITS_OF_ARCH.get(arch)
    if bits is None or name is None or not name.startswith("futex") or syscall is None or syscall.kind != "call" or len(syscall.args) < 6:
        return None
    a = [arg & ((1 << bits) - 1) for arg in syscall.args]
    if name in ("futex", "futex_time64"):
        op = a[1] & 0xffffffff
        cmd = op & 0x7f
        if cmd not in FUTEX_WAITING:
            return None
        return FutexWait(tid, a[0], op, cmd, bool(op & FUTEX_PRIVATE), bool(op & FUTEX_REALTIME), a[2] & 0xffffffff, a[3], bits)
    if name == "futex_wait":            # (uaddr, val, mask, flags, timeout, clock), 6.7 on
        return FutexWait(tid, a[0], a[3] & 0xffffffff, FUTEX_WAIT_BITSET, bool(a[3] & FUTEX_PRIVATE), a[5] == 0,
                         a[1] & 0xffffffff, a[4], bits)
    if name == "futex_waitv":           # (waiters, count, flags, timeout, clock), 5.16 on
        return FutexWait(tid, a[0], 0, FUTEX_WAITV, True, a[4] == 0, min(a[1] & 0xffffffff, 128), a[3], bits)
    return None


def waitv_words(wait, memory):
    """The words of a futex_waitv: a FutexWait for each element of the array, or [] where it was not read.

    Any one of them wakes the thread, so that none of them alone is what it waits for.
    """
    data = as_words(memory).upto(wait.uaddr, 24 * wait.val)
    return [FutexWait(wait.tid, uaddr, flags, FUTEX_WAIT_BITSET, bool(flags & FUTEX_PRIVATE), wait.realtime,
                      val & 0xffffffff, wait.timeout_ptr, wait.bits)
            for val, uaddr, flags in decode_waitv(data)]


# -- layouts. Offsets from the futex word, but of rwlocks and conditions, where they are from the start of the object.

# glibc's pthread_mutex_t: __lock 0, __count 4, __owner 8, and __nusers and __kind in either order. `idle` is the
# part that only robust mutexes use (__list) and that is zero from the initialiser on in all others.
GLIBC_MUTEX = {64: {"nusers": 12, "kind": 16, "idle": (24, 16)}, 32: {"nusers": 16, "kind": 12, "idle": None}}
MUTEX_KNOWN_KINDS = 0x3 | 0x10 | 0x20 | 0x40 | 0x80 | 0x100 | 0x200
KIND_ROBUST, KIND_PI, KIND_PROTECT, KIND_SHARED = 0x10, 0x20, 0x40, 0x80
MUTEX_TYPES = ("mutex", "recursive mutex", "errorcheck mutex", "adaptive mutex")
PROTECT_CEILING = 0xfff80000    # a priority-protected mutex keeps its ceiling in the high bits of the word

# glibc's pthread_rwlock_t: __readers 0, __writers 4, __wrphase_futex 8, __writers_futex 12, then pads that are zero.
GLIBC_RWLOCK = {64: {"writer": 24, "shared": (28, 4), "flags": (48, 4), "zero": ((16, 8), (40, 8))},
                32: {"writer": 28, "shared": (25, 1), "flags": (24, 1), "zero": ((16, 8),)}}
RW_WRITE_PHASE, RW_WRITE_LOCKED, RW_READER_SHIFT = 1, 2, 3

# glibc's pthread_cond_t: where the two __g_signals words and __wrefs are. The second row is glibc 2.42 on, which lost __g_refs.
GLIBC_COND = (((40, 44), 36, 24, 16), ((32, 36), 28, 16, None))     # __g_signals, __wrefs, __g_size, __g_refs

# glibc's struct pthread: the thread id, then the head of the robust list, whose futex_offset is a constant of the ABI
# (__lock minus __list.__next). (offset of futex_offset from tid, its value, its size, offset of the list head)
# 32-bit libraries before 2.34 had one more int behind the tid.
PTHREAD_TID = {64: ((24, -32, 8, 16),), 32: ((8, -20, 4, 4), (12, -20, 4, 8))}
PTHREAD_SIZE = 1536             # the tid is at 720 on x86_64, 208 on aarch64, 104 with 32 bits; the join state some 860 on
JOINSTATES = (1, 2)             # glibc 2.42 on waits for "exiting" or "joinable" to become 0

# musl's struct pthread begins with a pointer to itself; {tid, errno, detach_state}: from detach_state back to the start
MUSL_DETACH = {64: (56, 40), 32: (32, 24, 20)}
MUSL_DETACH_STATES = (1, 2)
MUSL_TYPES = 0x3 | 0x4 | 0x8 | 0x80
MUSL_WAITERS_ON_FILE = 0x40000000

NEAR = (-64, 144)               # (from, length) around the futex word: enough for every layout above


def lock_words(waits):
    """(address, length) rows to read in one batch, twice with some ms between; the answers are judge()'s `memory`."""
    ranges = []
    for wait in waits:
        if wait.cmd == FUTEX_WAITV:
            ranges.append((wait.uaddr, 24 * wait.val))
            continue
        ranges.append((max(wait.uaddr + NEAR[0], 0), NEAR[1]))
        if not wait.private and wait.val in JOINSTATES:
            ranges.append((max(wait.uaddr - PTHREAD_SIZE, 0), PTHREAD_SIZE))
    return union(set(ranges))


def more_words(waits, memory):
    """A second batch that the first one points to: the thread descriptor that a stdio lock names as its owner. [] as a rule."""
    words, ranges = as_words(memory), set()
    for wait in waits:
        pointer = stdio_owner(wait, words)
        if pointer:
            ranges.add((pointer, PTHREAD_SIZE))
    return union(ranges)


# -- recognisers: (wait, words) -> Claim or None. Each insists on all that its struct is known to hold.

def plain_wait(wait):
    """FUTEX_WAIT, or the WAIT_BITSET with a timeout that glibc's timed locks make of it (0x189, 0x89 for the monotonic clock).
    WAIT_BITSET without a timeout is what condition variables, semaphores and Rust use, and never a glibc mutex."""
    return wait.cmd == FUTEX_WAIT or (wait.cmd == FUTEX_WAIT_BITSET and wait.timeout_ptr != 0)


def is_tid(value):
    return value is not None and 0 < value < TID_LIMIT


def mutex_fields(wait, words):
    """{count, owner, nusers, kind, idle} of the bytes as if they were glibc's mutex, or None if unread."""
    layout = GLIBC_MUTEX[wait.bits]
    head = words.u32s(wait.uaddr, 5)
    if head is None:
        return None
    fields = {"count": head[1], "owner": head[2], "nusers": head[layout["nusers"] // 4], "kind": head[layout["kind"] // 4], "idle": b""}
    if layout["idle"]:
        fields["idle"] = words.take(wait.uaddr + layout["idle"][0], layout["idle"][1])
    return fields


def looks_like_mutex(fields, wait):
    """Every field of a held glibc mutex fits: known kind bits, 1 or more users, a count where the type keeps one (recursive, robust,
    PI, protected) and none where it does not, sharing as the operation says, and an untouched list unless robust."""
    if fields is None or fields["idle"] is None or fields["kind"] & ~MUTEX_KNOWN_KINDS:
        return False
    kind, count = fields["kind"], fields["count"]
    if not 1 <= fields["nusers"] <= TID_LIMIT:
        return False
    if any(fields["idle"]) and not kind & KIND_ROBUST:
        return False
    counts = kind & (KIND_ROBUST | KIND_PI | KIND_PROTECT) or kind & 3 == 1
    if bool(count) != bool(counts) or count >= 1 << 24:
        return False
    return bool(kind & KIND_SHARED) != wait.private or bool(kind & KIND_ROBUST)


def glibc_mutex(wait, words):
    """glibc mutex of every type but robust and PI: the word is 2 (held, with waiters), and so is what the waiter expects."""
    word = words.u32(wait.uaddr)
    if not plain_wait(wait) or word != wait.val or word is None or word & ~PROTECT_CEILING != 2:
        return None
    fields = mutex_fields(wait, words)
    if not looks_like_mutex(fields, wait) or fields["kind"] & (KIND_ROBUST | KIND_PI) or not is_tid(fields["owner"]):
        return None
    if bool(word & PROTECT_CEILING) and not fields["kind"] & KIND_PROTECT:
        return None
    return Claim(MUTEX_TYPES[fields["kind"] & 3], fields["owner"], "__owner of the glibc mutex", False, "")


def glibc_robust(wait, words):
    """glibc robust mutex: the kernel's robust-list protocol wants the tid in the word itself; __owner must say the same."""
    word = words.u32(wait.uaddr)
    if not plain_wait(wait) or wait.private or word != wait.val or word is None or not word & FUTEX_WAITERS:
        return None
    fields = mutex_fields(wait, words)
    if not looks_like_mutex(fields, wait) or not fields["kind"] & KIND_ROBUST or fields["owner"] != word & FUTEX_TID:
        return None
    return Claim("robust mutex", word & FUTEX_TID, "word and __owner of the glibc robust mutex", True, "")


def pi_mutex(wait, words):
    """FUTEX_LOCK_PI: that the word holds the owner's tid, and bit 31 when somebody waits, is the kernel's ABI, whatever the library."""
    if wait.cmd not in (FUTEX_LOCK_PI, FUTEX_LOCK_PI2):
        return None
    word = words.u32(wait.uaddr)
    owner = word & FUTEX_TID if word and word & FUTEX_WAITERS else 0
    fields = mutex_fields(wait, words)
    robust = bool(looks_like_mutex(fields, wait) and fields["kind"] & KIND_ROBUST and fields["owner"] == owner)
    note = "the owner died holding it" if word and word & FUTEX_OWNER_DIED else ""
    return Claim("PI mutex", owner if is_tid(owner) else 0, "word of the PI futex (kernel ABI)", robust, note)


def descriptor_tid(words, addr, bits):
    """The tid at `addr` if that is the tid field of a glibc struct pthread, known by the constant futex_offset behind it."""
    for gap, value, size, head in PTHREAD_TID[bits]:
        pointer = words.word(addr + head, size)
        if words.word(addr + gap, size) == value % (1 << 8 * size) and pointer:
            return words.u32(addr)
    return None


def glibc_join(wait, words):
    """pthread_join up to glibc 2.41: the kernel clears struct pthread's tid at the end of the thread, and wakes without the private
    flag. A bare word that equals some tid is not enough: in a container tids are small numbers."""
    word = words.u32(wait.uaddr)
    if wait.private or wait.cmd not in (FUTEX_WAIT, FUTEX_WAIT_BITSET) or word != wait.val or not is_tid(word):
        return None
    if descriptor_tid(words, wait.uaddr, wait.bits) != word:
        return None
    return Claim("join", word, "tid word of the awaited thread's descriptor", False, "")


def glibc_joinstate(wait, words):
    """pthread_join from glibc 2.42 on: the word is a state, and the tid stands some 860 bytes before it in the same descriptor."""
    word = words.u32(wait.uaddr)
    if wait.private or wait.cmd not in (FUTEX_WAIT, FUTEX_WAIT_BITSET) or word != wait.val or word not in JOINSTATES:
        return None
    step = wait.bits // 8
    found = set()
    for addr in range(wait.uaddr - wait.uaddr % step - 4 * step, wait.uaddr - PTHREAD_SIZE, -step):
        if is_tid(descriptor_tid(words, addr, wait.bits)):
            found.add(words.u32(addr))
    if len(found) != 1:
        return None
    return Claim("join", found.pop(), "tid in the awaited thread's descriptor", False, "")


def musl_join(wait, words):
    """musl: the joiner waits for detach_state (2, or 1 while exiting) in a descriptor that begins with its own address."""
    word = words.u32(wait.uaddr)
    if wait.cmd != FUTEX_WAIT or word != wait.val or word not in MUSL_DETACH_STATES:
        return None
    size = wait.bits // 8
    for back in MUSL_DETACH[wait.bits]:
        if words.word(wait.uaddr - back, size) == wait.uaddr - back and is_tid(words.u32(wait.uaddr - 8)):
            return Claim("join", words.u32(wait.uaddr - 8), "tid in the awaited thread's musl descriptor", False, "")
    return None


def musl_mutex(wait, words):
    """musl: {type, lock, waiters}; the lock word of every type but 0 is tid + bit 31. Type 0 holds EBUSY instead of a tid."""
    words3 = words.u32s(wait.uaddr - 4, 3)
    if words3 is None or wait.cmd != FUTEX_WAIT or words3[1] != wait.val or not words3[1] & FUTEX_WAITERS:
        return None
    kind, word, waiting = words3
    if kind & ~MUSL_TYPES or kind & 3 == 3 or bool(kind & 0x80) == wait.private or not 1 <= waiting < TID_LIMIT:
        return None
    if kind & ~0x80 == 0:
        return Claim("mutex", None, "", False, "musl records no owner in a normal mutex") if word == FUTEX_WAITERS | 16 else None
    note = "the owner died holding it" if word & FUTEX_OWNER_DIED else ""
    owner = word & FUTEX_TID
    return Claim("robust mutex" if kind & 4 else MUTEX_TYPES[kind & 3], owner if is_tid(owner) else 0,
                 "word of the musl mutex", bool(kind & 4), note)


def musl_file(wait, words):
    """musl's FILE: {fd, pipe_pid, long lockcount, mode, lock, lbf}; the lock word is the holder's tid with bit 30 when somebody waits."""
    around = words.u32s(wait.uaddr - 4, 3)
    if around is None or not wait.private or wait.cmd != FUTEX_WAIT or around[1] != wait.val:
        return None
    mode, word, lbf = around
    if word & 0xc0000000 != MUSL_WAITERS_ON_FILE or mode not in (0, 1, 0xffffffff) or lbf not in (10, 0xffffffff):
        return None
    count = words.word(wait.uaddr - 4 - wait.bits // 8, wait.bits // 8)
    if count is None or count > 1 << 20 or not is_tid(word & FUTEX_TID):
        return None
    return Claim("stdio lock", word & FUTEX_TID, "lock word of the musl FILE", False, "")


def glibc_rwlock(wait, words):
    """glibc: the waiter sits on __wrphase_futex (+8) or __writers_futex (+12); a writer that holds it is in __cur_writer, and readers
    are only counted. All pads are zero and all flags small, which hardly anything else is."""
    if wait.cmd != FUTEX_WAIT_BITSET or wait.val not in (2, 3):
        return None
    for offset in (8, 12):
        claim = rwlock_at(wait, words, wait.uaddr - offset)
        if claim:
            return claim
    return None


def rwlock_at(wait, words, base):
    layout = GLIBC_RWLOCK[wait.bits]
    head, writer = words.u32s(base, 4), words.u32(base + layout["writer"])
    shared, flags = (words.word(base + at, size) for at, size in (layout["shared"], layout["flags"]))
    pads = [words.take(base + at, size) for at, size in layout["zero"]]
    if head is None or writer is None or shared is None or flags is None or None in pads or any(map(any, pads)):
        return None
    readers, _, phase, turn = head
    if phase > 3 or turn > 3 or flags > 2 or shared > 1 or bool(shared) == wait.private or words.u32(wait.uaddr) != wait.val:
        return None
    if readers & RW_WRITE_LOCKED and readers & RW_WRITE_PHASE and is_tid(writer):
        return Claim("rwlock (write-held)", writer, "__cur_writer of the glibc rwlock", False, "")
    if readers >> RW_READER_SHIFT and not readers & RW_WRITE_PHASE and writer == 0:
        count = readers >> RW_READER_SHIFT
        return Claim("rwlock (read-held)", None, "", False, "%d reader%s in or before it; the library does not record which"
                     % (count, "" if count == 1 else "s"))
    return None


def musl_rwlock(wait, words):
    """musl: {lock, waiters, shared}: 0x7fffffff is a writer, less the number of readers, with bit 31 for waiters. Nobody is recorded."""
    head = words.u32s(wait.uaddr, 3)
    if head is None or wait.cmd != FUTEX_WAIT or head[0] != wait.val or not head[0] & FUTEX_WAITERS:
        return None
    count = head[0] & 0x7fffffff
    if not 1 <= head[1] < TID_LIMIT or head[2] not in (0, 0x80) or bool(head[2]) == wait.private:
        return None
    if count == 0x7fffffff:
        return Claim("rwlock (write-held)", None, "", False, "musl does not record the writer")
    if 0 < count < 1 << 16 and count != 16:
        return Claim("rwlock (read-held)", None, "", False, "%d readers; musl does not record which" % count)
    return None


def glibc_cond(wait, words):
    """glibc's condition variable: __wrefs counts 8 a waiter and has the sharing in bit 0, the clock in bit 1."""
    if wait.cmd == FUTEX_WAIT_REQUEUE_PI:
        return Claim("condition", None, "", False, "")
    if wait.cmd != FUTEX_WAIT_BITSET:
        return None
    for signals, wrefs_at, sizes_at, refs_at in GLIBC_COND:
        for group, offset in enumerate(signals):
            base = wait.uaddr - offset
            if cond_at(words, base, wrefs_at, sizes_at, refs_at and refs_at + 4 * group, wait.private):
                return Claim("condition", None, "", False, "")
    return None


def cond_at(words, base, wrefs_at, sizes_at, refs_at, private):
    """Whether a condition variable with sleepers can be at `base`: as many sleepers as ever came or fewer, of which some, where glibc
    still counted that (2 a sleeper), are in the group that this one waits for."""
    seq, start, wrefs, sizes = words.word(base, 8), words.word(base + 8, 8), words.u32(base + wrefs_at), words.u32s(base + sizes_at, 2)
    if seq is None or start is None or wrefs is None or sizes is None:
        return False
    refs = words.u32(base + refs_at) if refs_at else 2
    sleepers = wrefs >> 3
    return (1 <= sleepers <= min(seq >> 1, TID_LIMIT) and bool(wrefs & 1) != private and max(sizes) <= TID_LIMIT
            and start >> 1 <= seq >> 1 and refs is not None and 1 <= refs >> 1 <= sleepers)


def glibc_semaphore(wait, words):
    """glibc's sem_t: with 64 bits the value and, in the high half, the number of waiters; with 32 bits value * 2 + "somebody
    waits", private, a pad, number of waiters. `private` is 0 for a private one and 128 for a shared one (yes, that way round)."""
    head = words.u32s(wait.uaddr, 4)
    if head is None or wait.cmd != FUTEX_WAIT_BITSET or head[0] != wait.val:
        return None
    idle, waiting, flag = (0, head[1], head[2]) if wait.bits == 64 else (1, head[3], head[1])
    if head[0] != idle or not 1 <= waiting < TID_LIMIT or flag != (0 if wait.private else FUTEX_PRIVATE):
        return None
    return Claim("semaphore", None, "", False, "")


def glibc_barrier(wait, words):
    """glibc's barrier: in, current_round (the word), count, shared. `in` runs ahead of the round by those that have arrived."""
    head = words.u32s(wait.uaddr - 4, 4)
    if head is None or wait.cmd not in (FUTEX_WAIT, FUTEX_WAIT_BITSET) or head[1] != wait.val:
        return None
    arrived, _, count, shared = (head[0] - head[1]) % (1 << 32), head[1], head[2], head[3]
    if not 1 <= arrived < count < TID_LIMIT or shared != (0 if wait.private else FUTEX_PRIVATE):
        return None
    return Claim("barrier", None, "", False, "%d of %d have arrived" % (arrived, count))


def musl_semaphore(wait, words):
    """musl's sem_t: {value, waiters, private}; sleepers wait for -1 (up to 1.2.3) or 0x80000000 to change."""
    head = words.u32s(wait.uaddr, 3)
    if head is None or wait.cmd != FUTEX_WAIT or head[0] != wait.val or wait.val not in (0xffffffff, 0x80000000):
        return None
    if not 1 <= head[1] < TID_LIMIT or head[2] != (0x80 if wait.private else 0):
        return None
    return Claim("semaphore", None, "", False, "")


def stdio_owner(wait, words):
    """The address of the thread descriptor that a glibc FILE lock names: {lock 2, count, pointer}, else None."""
    if wait.cmd != FUTEX_WAIT or wait.val != 2 or not wait.private:
        return None
    head, pointer = words.u32s(wait.uaddr, 2), words.word(wait.uaddr + 8, wait.bits // 8)
    if head is None or not pointer or head[0] != 2 or not 1 <= head[1] < 1 << 20 or pointer % 8 or pointer < 1 << 16:
        return None
    return pointer


def glibc_stdio(wait, words):
    """glibc's FILE lock records no tid but a pthread_t; its descriptor, if it was read and is one, has the tid."""
    pointer = stdio_owner(wait, words)
    if pointer is None:
        return None
    step, found = wait.bits // 8, set()
    for addr in range(pointer, pointer + PTHREAD_SIZE - 64, step):
        if is_tid(descriptor_tid(words, addr, wait.bits)):
            found.add(words.u32(addr))
    if len(found) != 1:
        return None
    return Claim("stdio lock", found.pop(), "thread descriptor named by the glibc FILE lock", False, "")


def low_level_lock(wait, words):
    """A word that is 2 in a plain wait is held and contended, but nothing beside it is a mutex: malloc's arena, the loader, Go, musl."""
    if wait.cmd == FUTEX_WAIT and wait.val == 2 == words.u32(wait.uaddr):
        return Claim("low-level lock", None, "", False, "if it is a lock it is held, and who holds it is not recorded")
    return None


def rust_rwlock(wait, words):
    """Rust's std::sync::RwLock: all 30 bits of the readers' count are a writer, bit 30 is for readers that wait and bit 31 for writers
    that do. All 32 bits are a parked thread of Rust."""
    if wait.cmd == FUTEX_WAIT_BITSET and wait.private and wait.val in (0x7fffffff, 0xbfffffff) and wait.val == words.u32(wait.uaddr):
        return Claim("rwlock (write-held)", None, "", False, "Rust does not record the writer")
    return None


def cxx_guard(wait, words):
    """libstdc++'s guard of a function's static variable: 0x100 says that its initialiser runs, 0x10000 that somebody waits."""
    if wait.cmd == FUTEX_WAIT and not wait.private and wait.val == 0x10100 == words.u32(wait.uaddr):
        return Claim("static initialisation", None, "", False, "another thread runs it, in C++; which is not recorded")
    return None


def cxx_future(wait, words):
    """libstdc++'s std::future: not ready (0), bit 31 for somebody waits, not private. musl's semaphore is private."""
    if wait.cmd in (FUTEX_WAIT, FUTEX_WAIT_BITSET) and not wait.private and wait.val == 0x80000000 == words.u32(wait.uaddr):
        return Claim("std::future", None, "", False, "its promise was not kept yet; whose that is, is not recorded")
    return None


def once(waits, words):
    """pthread_once and std::call_once while the initialiser runs: glibc's word is 1, and 4 more after each fork; musl's is 3. One waiter
    alone may be anything with a 1 (parking_lot's parked threads, in Rust); several threads on one such word are not."""
    values = {wait.val for wait in waits} | {words.u32(waits[0].uaddr)}
    if len(waits) < 2 or len(values) > 1 or not values & {1, 3, 5, 9}:
        return None
    if any(wait.cmd != FUTEX_WAIT or not wait.private or wait.timeout_ptr for wait in waits):
        return None
    return Claim("pthread_once", None, "", False, "if it is one, another thread runs its initialiser; which is not recorded")


# In order: the objects that record an owner and are hardest to mistake come first.
RECOGNISERS = (pi_mutex, glibc_robust, glibc_mutex, glibc_join, glibc_joinstate, musl_join, musl_mutex, musl_file, glibc_rwlock, musl_rwlock,
               glibc_barrier, glibc_cond, glibc_semaphore, musl_semaphore, glibc_stdio, rust_rwlock, cxx_guard, cxx_future, low_level_lock)
NOTHING_KNOWN = Claim("unknown futex", None, "", False, "")


def recognise(waits, words):
    """The Claim for the waiters of one word. They may differ in operation (timed or not, reader or writer): the first that is
    understood speaks for all, as they wait for the same object."""
    kinds = {(w.op, w.val, w.timeout_ptr != 0): w for w in waits}
    for recogniser in RECOGNISERS:
        for key in sorted(kinds):
            claim = recogniser(kinds[key], words)
            if claim:
                return claim
    return once(waits, words) or NOTHING_KNOWN


# -- judging

# What judge() knows of the process besides its memory.
Scene = NamedTuple("Scene", [
    ("tids", frozenset),      # listed before the first and after the last read of the memory
    ("ns_tids", dict),        # {tid in the innermost PID namespace: tid}, the last number of NSpid
    ("mappings", list),       # Mapping records, sorted; [] or None: not known
    ("stacks", dict),         # {tid: SP of its syscall record}
    ("ancestors", tuple),     # pids: parent first
    ("elsewhere", object),    # callable, number in our namespace -> pid that has such a thread, None (none has), or False (cannot tell)
])


def judge(waits, memory, memory_again, tids, ns_tids=None, mappings=None, stacks=None, ancestors=(), elsewhere=None):
    """LockGroup records of all futex waits of one process, most waiters first.

    memory, memory_again: {address: bytes} of lock_words() (and more_words()) from two reads; what differs is "moving" and has no owner.
    `tids`: threads listed before the first read and those listed after the second, so that one that comes or goes meanwhile never
    counts as gone.
    Where ns_tids is None the process is in the reader's PID namespace. See Scene for the rest.
    """
    scene = Scene(frozenset(tids), ns_tids if ns_tids else {t: t for t in tids}, sorted(mappings or []), stacks or {},
                  tuple(ancestors), elsewhere)
    words, again = as_words(memory), Words(memory_again)
    groups = collections.OrderedDict()
    for wait in waits:
        if wait.cmd != FUTEX_WAITV:
            groups.setdefault(wait.uaddr, []).append(wait)
    found = [judge_word(group, words, again, scene) for group in groups.values()]
    return sorted(found, key=lambda g: (-len(g.waiters), g.uaddr))


def judge_word(waits, words, again, scene):
    """One LockGroup: what it is, then who, then whether that can be."""
    uaddr = waits[0].uaddr
    claim, owner, state, pid = believed(waits, words, again, scene)
    if owner is None and on_own_stack(waits, scene.stacks):
        claim = own_stack_claim(claim)
    mapping = mapping_at(uaddr, scene.mappings)
    return LockGroup(
        uaddr, claim.kind, tuple(w.tid for w in waits), owner, claim.owner or None, claim.how if claim.owner else "", state,
        place_of(uaddr, scene.mappings, scene.stacks), claim.kind == "PI mutex", is_shared(waits, mapping), claim.robust,
        claim.note, pid, tuple(w.tid for w in waits if w.timeout_ptr))


def believed(waits, words, again, scene):
    """(Claim, owner tid, owner state, owner pid): the claim of both reads, stripped of its owner where there is any doubt."""
    uaddr = waits[0].uaddr
    claim, later = recognise(waits, words), recognise(waits, again)
    if words.u32(uaddr) is None or again.u32(uaddr) is None:
        return without_owner(claim, "its memory was not read"), None, "unknown", None
    if words.u32(uaddr) != again.u32(uaddr) or claim[:2] != later[:2]:
        return without_owner(later if later.kind != "unknown futex" else claim, "it moved between two reads"), None, "unknown", None
    if not any(w.val == words.u32(uaddr) or w.cmd in (FUTEX_LOCK_PI, FUTEX_LOCK_PI2) for w in waits):
        return without_owner(claim, "the word is not what the waiters saw: they are about to wake"), None, "unknown", None
    if claim.owner is None:
        return claim, None, "none", None
    if claim.owner == 0:
        return claim, None, "gone" if "died" in claim.note else "unknown", None
    return owner_of(claim, waits, scene)


def on_own_stack(waits, stacks):
    """Whether a lone waiter waits for a word in its own frames (64 KiB above its SP): made for this one wait."""
    sp = stacks.get(waits[0].tid) if len(waits) == 1 else None
    return bool(sp) and sp <= waits[0].uaddr < sp + (1 << 16)


def own_stack_claim(claim):
    """Nobody contends for a word on one's own stack: musl's conditions look like a held lock there, and glibc parks a thread so for
    good when the kernel refuses a PI mutex as a deadlock."""
    kind = "unknown futex" if claim.kind == "low-level lock" else claim.kind
    return claim._replace(kind=kind, note="a word on the waiter's own stack: parked until another thread wakes it")


def without_owner(claim, note):
    return claim._replace(owner=None, how="", note="; ".join(n for n in (claim.note, note) if n))


def owner_of(claim, waits, scene):
    """Who the recorded number is: a thread of this process, the waiter itself, nobody any more, or a thread of another process."""
    tid = scene.ns_tids.get(claim.owner)
    if tid in scene.tids:
        if tid not in [w.tid for w in waits]:
            return claim, tid, "live", None
        if claim.kind in ("recursive mutex", "errorcheck mutex", "join", "stdio lock", "rwlock (write-held)", "PI mutex"):
            # these grant or refuse their owner instead of making it wait: the bytes are something else
            return without_owner(claim, "its owner would not wait for it"), None, "unknown", None
        return claim, tid, "self", None
    if claim.kind == "join":
        return without_owner(claim, "the awaited thread is just ending"), None, "unknown", None
    return owner_abroad(claim, waits, scene)


def owner_abroad(claim, waits, scene):
    """The owner is no thread of this process. In private memory it either ended or was left behind by a fork: nobody can unlock.
    In shared memory any process that maps it may be the one, and only a number that exists nowhere is gone."""
    shared = is_shared(waits, mapping_at(waits[0].uaddr, scene.mappings))
    pid = scene.elsewhere(claim.owner) if scene.elsewhere else False
    tid = claim.owner if pid and all(a == b for a, b in scene.ns_tids.items()) else None
    if shared:
        return claim, tid, "elsewhere" if pid else "gone" if pid is None else "unknown", pid or None
    if pid and pid in scene.ancestors:
        return claim, tid, "forked", pid
    if pid:
        claim = claim._replace(note="; ".join(n for n in (claim.note, "that number is a thread of process %d" % pid) if n))
    return claim, None, "gone", pid or None


# -- where a word lies

def mapping_at(addr, mappings):
    """The Mapping that holds `addr`, else None. `mappings` sorted."""
    at = last_at(mappings, (addr + 1,))
    if at < 0 or not mappings[at].start <= addr < mappings[at].end:
        return None
    return mappings[at]


def is_shared(waits, mapping):
    """Whether other processes can see the word: what maps says, and only without it the private flag of the operation
    (which robust mutexes never have)."""
    if mapping is not None:
        return "s" in mapping.perms
    return not any(w.private for w in waits)


def place_of(addr, mappings, stacks):
    """Words for the memory that holds `addr`: "/usr/bin/svc+0x4080 (.bss)", "heap", "stack of thread 812", "shared /dev/shm/x"; "" unknown."""
    mapping = mapping_at(addr, mappings)
    if mapping is None:
        return ""
    if "s" in mapping.perms:
        return "shared %s" % (mapping.path or "memory")
    if mapping.path.startswith("["):
        return {"[heap]": "heap", "[stack]": "stack of the main thread"}.get(mapping.path, mapping.path)
    if mapping.path:
        return "%s+%#x" % (mapping.path, addr - image_base(mapping, mappings))
    below = mappings[mappings.index(mapping) - 1] if mapping is not mappings[0] else None
    if below is not None and below.end == mapping.start and below.path.startswith("/") and "s" not in below.perms:
        return "%s+%#x (.bss)" % (below.path, addr - image_base(below, mappings))
    owners = [(addr - sp, tid) for tid, sp in stacks.items() if mapping.start <= sp <= addr]         # below its SP a stack holds nothing
    return "stack of thread %d" % min(owners)[1] if owners else "anonymous memory"


def image_base(mapping, mappings):
    """Where the file of `mapping` was loaded: its nearest mapping at or below that starts at file offset 0, as nm counts in a PIE or library."""
    starts = [m.start for m in mappings if m.path == mapping.path and m.offset == 0 and m.start <= mapping.start]
    return max(starts) if starts else mapping.start


# -- who waits for whom

Cycle = NamedTuple("Cycle", [("tids", tuple), ("behind", int), ("timed", bool)])
# tids: each waits for the next and the last for the first; one alone waits for itself. behind: threads outside that wait for it.
Chain = NamedTuple("Chain", [("root", int), ("waiters", int), ("behind", int), ("path", tuple)])
# root waits for no thread; waiters wait for it directly, behind counts all; path: the longest way, root last.


def wait_graph(groups, extra_edges=()):
    """(cycles, chains) of the wait-for graph: each waiter of a LockGroup waits for its owner if that lives. Biggest first.

    extra_edges: (waiter, owner) or (waiter, owner, why) from Python's locks, file locks, pipes... `timed` says that a waiter of the cycle
    has a timeout: it ends by itself.
    """
    edges, timed = collections.OrderedDict(), set()
    for group in groups:
        if group.owner_tid is not None and group.owner_state in ("live", "self", "elsewhere"):
            timed.update((tid, group.owner_tid) for tid in group.timed)
            for tid in group.waiters:
                edges.setdefault(tid, []).append(group.owner_tid)
    for edge in extra_edges:
        edges.setdefault(edge[0], []).append(edge[1])
    waits_on_me = reverse_edges(edges)
    cycles = [cycle_of(part, edges, waits_on_me, timed) for part in strong_parts(edges)]
    in_cycle = {tid for cycle in cycles for tid in cycle.tids}
    roots = [tid for tid in waits_on_me if tid not in edges and tid not in in_cycle]
    chains = [chain_of(root, waits_on_me) for root in roots]
    return (sorted(cycles, key=lambda c: (-c.behind - len(c.tids), c.tids)), sorted(chains, key=lambda c: (-c.behind, c.root)))


def reverse_edges(edges):
    back = collections.OrderedDict()
    for tid, owners in edges.items():
        for owner in owners:
            back.setdefault(owner, []).append(tid)
    return back


def strong_parts(edges):
    """The sets of nodes that can all reach each other (Tarjan's algorithm, without recursion: 2,000 threads are usual). One node
    counts only if it has an edge to itself."""
    order, low, stack, on_stack, parts = {}, {}, [], set(), []
    for start in edges:
        if start in order:
            continue
        work = [(start, iter(edges[start]))]
        order[start] = low[start] = len(order)
        stack.append(start)
        on_stack.add(start)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in order:
                    order[target] = low[target] = len(order)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(edges.get(target, ()))))
                    break
                if target in on_stack:
                    low[node] = min(low[node], order[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    part = set(stack[stack.index(node):])
                    del stack[len(stack) - len(part):]
                    on_stack -= part
                    if len(part) > 1 or node in edges.get(node, ()):
                        parts.append(part)
    return parts


def cycle_of(part, edges, waits_on_me, timed):
    """A Cycle through the smallest tid of `part`: the shortest way from it back to itself."""
    start = min(part)
    came_from, queue = {}, collections.deque([start])
    while start not in came_from:
        node = queue.popleft()
        for target in edges[node]:
            if target in part and target not in came_from:
                came_from[target] = node
                queue.append(target)
    path = [start]
    while came_from[path[-1]] != start:
        path.append(came_from[path[-1]])
    tids = (start,) + tuple(reversed(path[1:]))
    ends_itself = any((a, b) in timed for a, b in zip(tids, tids[1:] + tids[:1]))
    return Cycle(tids, len(reach_back(tids, waits_on_me)) - len(tids), ends_itself)


def reach_back(starts, waits_on_me):
    """{node: the next one towards `starts`} of all that wait for them, directly or not; nearest first."""
    toward, queue = collections.OrderedDict((s, None) for s in starts), collections.deque(starts)
    while queue:
        node = queue.popleft()
        for waiter in waits_on_me.get(node, ()):
            if waiter not in toward:
                toward[waiter] = node
                queue.append(waiter)
    return toward


def chain_of(root, waits_on_me):
    toward = reach_back([root], waits_on_me)
    path = [next(reversed(toward))]
    while path[-1] != root:
        path.append(toward[path[-1]])
    return Chain(root, len(set(waits_on_me[root])), len(toward) - 1, tuple(path))


# -- arguments in the target's memory. Decoders are pure and take what there is: a short buffer gives fewer items.

PollFd = NamedTuple("PollFd", [("fd", int), ("events", str)])           # events: "in", "in,pri", "out"...
SockAddr = NamedTuple("SockAddr", [("family", str), ("host", str), ("port", int), ("text", str)])
SemOp = NamedTuple("SemOp", [("num", int), ("op", int), ("flags", int)])
FileLock = NamedTuple("FileLock", [("type", str), ("whence", int), ("start", int), ("len", int), ("pid", int)])   # len 0: to the end

POLL_EVENTS = ((0x1, "in"), (0x2, "pri"), (0x4, "out"), (0x40, "rdnorm"), (0x80, "rdband"), (0x100, "wrnorm"), (0x200, "wrband"),
               (0x2000, "rdhup"))
MOST_FDS = 1024                 # of a poll set that are read
MOST_SET = 65536                # of a select's bitmap: the kernel's select ends at the process's open files, not at libc's 1024


def signed(value, bits=32):
    """A raw register as the C int of `bits` that the kernel takes it for."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def rows(fmt, data):
    """All whole records of `fmt` in `data`."""
    size = struct.calcsize(fmt)
    return list(struct.iter_unpack(fmt, data[:len(data) - len(data) % size]))


def decode_pollfds(data, nfds):
    """struct pollfd {int fd; short events, revents}; a negative fd is one that the program switched off."""
    return [PollFd(fd, ",".join(name for bit, name in POLL_EVENTS if events & bit))
            for fd, events, _ in rows("<iHH", data)[:max(nfds, 0)] if fd >= 0]


def decode_fdset(data, n):
    """The fds below `n` that are set in a bitmap; words of 32 or 64 bits are the same bytes on a little-endian machine."""
    return [i * 8 + bit for i, byte in enumerate(data) if byte for bit in range(8) if byte >> bit & 1 and i * 8 + bit < n]


def decode_timespec(data, bits, per_second=10 ** 9):
    """Seconds of a timespec (or of a timeval, with per_second 10**6) made of two `bits` wide ints, or None."""
    try:
        whole, part = struct.unpack_from("<qq" if bits == 64 else "<ii", data)
    except struct.error:
        return None
    if bits == 64 and part >> 32:
        part &= 0xffffffff      # 32-bit programs leave the upper half of a 64-bit tv_nsec unset
    return whole + part / float(per_second)


def decode_sockaddr(data):
    """AF_UNIX (an abstract name begins with @), AF_INET, AF_INET6, AF_NETLINK; other families by number. None if too short."""
    if len(data) < 2:
        return None
    family = struct.unpack_from("<H", data)[0]
    decoder = {1: unix_address, 2: inet_address, 10: inet6_address, 16: netlink_address}.get(family)
    try:
        return decoder(data) if decoder else SockAddr("family %d" % family, "", None, "family %d" % family)
    except (struct.error, ValueError):
        return None


def unix_address(data):
    name = data[2:]
    if name[:1] == b"\0" and len(name) > 1:
        path = "@" + text(name[1:])     # abstract: the length ends it, and zero bytes are a part of the name
    else:
        path = text(name.split(b"\0")[0])
    return SockAddr("unix", path, None, "unix:%s" % path)


def inet_address(data):
    port, a, b, c, d = struct.unpack_from(">H4B", data, 2)
    host = "%d.%d.%d.%d" % (a, b, c, d)
    return SockAddr("inet", host, port, "%s:%d" % (host, port))


def inet6_address(data):
    port, _, high, low = struct.unpack_from(">HIQQ", data, 2)
    host = inet6_text((high << 64) + low)
    scope = struct.unpack_from("<I", data, 24)[0] if len(data) >= 28 else 0
    host += "%%%d" % scope if scope else ""
    return SockAddr("inet6", host, port, "[%s]:%d" % (host, port))


def inet6_text(value):
    """The usual short form: the longest run of two zero groups or more becomes ::, IPv4-mapped ones end dotted."""
    if value >> 32 == 0xffff:
        return "::ffff:%d.%d.%d.%d" % tuple(value >> shift & 255 for shift in (24, 16, 8, 0))
    groups = ["%x" % (value >> shift & 0xffff) for shift in range(112, -1, -16)]
    best = max(((n, -at) for at in range(8) for n in range(1, 9 - at) if groups[at:at + n] == ["0"] * n), default=(0, 0))
    if best[0] < 2:
        return ":".join(groups)
    at = -best[1]
    return ":".join(groups[:at]) + "::" + ":".join(groups[at + best[0]:])


def netlink_address(data):
    port, groups = struct.unpack_from("<II", data, 4)
    return SockAddr("netlink", "", port, "netlink:%d groups %#x" % (port, groups))


def decode_sembuf(data):
    """struct sembuf {unsigned short num; short op, flags} of semop: op 0 waits for zero, below 0 for that much."""
    return [SemOp(*row) for row in rows("<Hhh", data)]


def decode_waitv(data):
    """(val, uaddr, flags) rows of struct futex_waitv {u64 val, uaddr; u32 flags, reserved}."""
    return [row[:3] for row in rows("<QQII", data)]


def decode_sigset(data):
    """The signal numbers of a sigset."""
    return [bit + 1 for bit in decode_fdset(data[:16], 128)]


LOCK_TYPES = {0: "read", 1: "write", 2: "unlock"}
FLOCK_FORMATS = {"64": "<hh4xqqi", "32": "<hhiii", "32 wide i386": "<hhqqi", "32 wide arm": "<hh4xqqi"}


def decode_flock(data, form):
    """fcntl's struct flock. `form` is a key of FLOCK_FORMATS: off_t is wide in fcntl64, and i386 alone does not align it."""
    try:
        kind, whence, start, length, pid = struct.unpack_from(FLOCK_FORMATS[form], data)
    except struct.error:
        return None
    return FileLock(LOCK_TYPES.get(kind, "type %d" % kind), whence, start, length, pid)


# i386's socketcall(number, pointer to longs): the real call and how many longs it has.
SOCKETCALLS = {1: ("socket", 3), 2: ("bind", 3), 3: ("connect", 3), 4: ("listen", 2), 5: ("accept", 3), 6: ("getsockname", 3),
               7: ("getpeername", 3), 8: ("socketpair", 4), 9: ("send", 4), 10: ("recv", 4), 11: ("sendto", 6), 12: ("recvfrom", 6),
               13: ("shutdown", 2), 14: ("setsockopt", 5), 15: ("getsockopt", 5), 16: ("sendmsg", 3), 17: ("recvmsg", 3),
               18: ("accept4", 4), 19: ("recvmmsg", 5), 20: ("sendmmsg", 4)}
# i386's ipc(number, first, second, third, ptr, fifth): the real call and which of its arguments it takes, 1 is the first.
IPC_CALLS = {1: ("semop", (1, 4, 2)), 2: ("semget", (1, 2, 3)), 3: ("semctl", (1, 2, 3, 4)), 4: ("semtimedop", (1, 4, 2, 5)),
             11: ("msgsnd", (1, 4, 2, 3)), 12: ("msgrcv", (1, 4, 2, 5, 3)), 13: ("msgget", (1, 2)), 14: ("msgctl", (1, 2, 3)),
             21: ("shmat", (1, 4, 2)), 22: ("shmdt", (4,)), 23: ("shmget", (1, 2, 3)), 24: ("shmctl", (1, 2, 4))}


def decode_socketcall(call, data):
    """(name, six arguments) of the call behind socketcall, or None where its arguments were not read; names as the other tables have
    them, so recv is recvfrom without an address."""
    name, count = SOCKETCALLS.get(call & 0xffffffff, (None, 0))
    if name is None or len(data) < 4 * count:
        return None
    name = {"send": "sendto", "recv": "recvfrom"}.get(name, name)
    return name, (struct.unpack_from("<%dI" % count, data) + (0,) * 6)[:6]


def decode_ipc(args, words):
    """(name, six arguments) of the call behind i386's ipc, or None. All is in registers but two of msgrcv's, whose old form (version 0)
    has {buffer, type} in memory."""
    name, order = IPC_CALLS.get(args[0] & 0xffff, (None, ()))
    if name == "msgrcv" and args[0] >> 16 & 0xffff == 0:
        pair = words.u32s(args[4] & 0xffffffff, 2)
        return pair and (name, (args[1], pair[0], args[2], pair[1], args[3], 0))
    return name and (name, (tuple(args[i] for i in order) + (0,) * 6)[:6])


# The calls of i386 that hide another one in memory: (argument that points to it, bytes of it).
WRAPPERS = {"socketcall": (1, 24), "select": (0, 20), "ipc": (4, 8)}


def unwrap(arch, name, args, memory):
    """(name, args) of the real call where i386 hides it in another: socketcall, ipc, the old select. As given if it cannot be told."""
    if arch != "i386" or name not in WRAPPERS or len(args) < 6:
        return name, args
    words = as_words(memory)
    inner = None
    if name == "socketcall":
        inner = decode_socketcall(args[0], words.upto(args[1] & 0xffffffff, 24))
    elif name == "ipc":
        inner = decode_ipc(args, words)
    else:
        five = words.u32s(args[0] & 0xffffffff, 5)
        inner = five and ("_newselect", five + (0,))
    return inner or (name, args)


# Where a call's path arguments are: (descriptor that a relative path starts at, path), None: the working directory.
PATH_ARGUMENTS = {
    "open": ((None, 0),), "creat": ((None, 0),), "stat": ((None, 0),), "lstat": ((None, 0),), "stat64": ((None, 0),),
    "lstat64": ((None, 0),), "access": ((None, 0),), "unlink": ((None, 0),), "mkdir": ((None, 0),), "rmdir": ((None, 0),),
    "chdir": ((None, 0),), "chroot": ((None, 0),), "chmod": ((None, 0),), "chown": ((None, 0),), "lchown": ((None, 0),),
    "truncate": ((None, 0),), "truncate64": ((None, 0),), "statfs": ((None, 0),), "statfs64": ((None, 0),), "readlink": ((None, 0),),
    "mknod": ((None, 0),), "utime": ((None, 0),), "utimes": ((None, 0),), "execve": ((None, 0),), "umount": ((None, 0),),
    "umount2": ((None, 0),), "swapon": ((None, 0),), "swapoff": ((None, 0),), "getxattr": ((None, 0),), "lgetxattr": ((None, 0),),
    "setxattr": ((None, 0),), "lsetxattr": ((None, 0),), "listxattr": ((None, 0),), "llistxattr": ((None, 0),), "acct": ((None, 0),),
    "inotify_add_watch": ((None, 1),), "rename": ((None, 0), (None, 1)), "link": ((None, 0), (None, 1)),
    "symlink": ((None, 0), (None, 1)), "mount": ((None, 0), (None, 1)), "pivot_root": ((None, 0), (None, 1)),
    "openat": ((0, 1),), "openat2": ((0, 1),), "newfstatat": ((0, 1),), "fstatat64": ((0, 1),), "statx": ((0, 1),),
    "faccessat": ((0, 1),), "faccessat2": ((0, 1),), "unlinkat": ((0, 1),), "mkdirat": ((0, 1),), "mknodat": ((0, 1),),
    "readlinkat": ((0, 1),), "fchmodat": ((0, 1),), "fchmodat2": ((0, 1),), "fchownat": ((0, 1),), "utimensat": ((0, 1),),
    "utimensat_time64": ((0, 1),), "futimesat": ((0, 1),), "execveat": ((0, 1),), "name_to_handle_at": ((0, 1),),
    "symlinkat": ((None, 0), (1, 2)), "renameat": ((0, 1), (2, 3)), "renameat2": ((0, 1), (2, 3)), "linkat": ((0, 1), (2, 3)),
    "mq_open": ((None, 0),), "mq_unlink": ((None, 0),),
}
LONGEST_PATH = 256

# What else lies in memory: (what, argument that points to it, argument that counts it). "timespec*" is 64-bit wide in every ABI.
MEMORY_ARGUMENTS = {
    "poll": (("pollfds", 0, 1),),
    "ppoll": (("pollfds", 0, 1), ("timespec", 2, None)),
    "select": (("in", 1, 0), ("out", 2, 0), ("except", 3, 0), ("timeval", 4, None)),
    "_newselect": (("in", 1, 0), ("out", 2, 0), ("except", 3, 0), ("timeval", 4, None)),
    "pselect6": (("in", 1, 0), ("out", 2, 0), ("except", 3, 0), ("timespec", 4, None)),
    "nanosleep": (("timespec", 0, None),),
    "clock_nanosleep": (("timespec", 2, None),),
    "connect": (("sockaddr", 1, 2),),
    "semop": (("sembuf", 1, 2),),
    "semtimedop": (("sembuf", 1, 2), ("timespec", 3, None)),
    "futex": (("timespec", 3, None),),
    "futex_wait": (("timespec*", 4, None),),
    "futex_waitv": (("waitv", 0, 1), ("timespec*", 3, None)),
    "rt_sigtimedwait": (("sigset", 0, None), ("timespec", 2, None)),
    "rt_sigsuspend": (("sigset", 0, None),),
    "fcntl": (("flock", 2, None),), "fcntl64": (("flock", 2, None),),
    "epoll_pwait2": (("timespec*", 3, None),),
    "recvmmsg": (("timespec", 4, None),),
    "io_getevents": (("timespec", 4, None),), "io_pgetevents": (("timespec", 4, None),),
    "mq_timedreceive": (("timespec", 4, None),), "mq_timedsend": (("timespec", 4, None),),
}
TIMEOUT_MS = {"poll": 2, "epoll_wait": 3, "epoll_pwait": 3}     # a C int of milliseconds, below 0: for ever
LOCK_COMMANDS = {6: "32", 7: "32", 12: "32 wide", 13: "32 wide", 14: "32 wide", 36: "32 wide", 37: "32 wide", 38: "32 wide"}
SIGSET_SIZE = 8
UNITS = {"pollfds": (8, MOST_FDS), "sembuf": (6, 64), "waitv": (24, 128), "sockaddr": (1, 128)}


def memory_rows(arch, bits, name, args):
    """(what, address, length) of everything in memory that decoding this call needs, but the paths; a null pointer has length 0."""
    for what, pointer, count in MEMORY_ARGUMENTS.get(name.replace("_time64", ""), ()):
        addr = args[pointer] & ((1 << bits) - 1)
        yield what, addr, memory_length(arch, bits, name, args, what, count) if addr else 0


def memory_length(arch, bits, name, args, what, count):
    if what in ("in", "out", "except"):
        return (min(max(signed(args[count]), 0), MOST_SET) + 7) // 8
    if what in UNITS:
        size, most = UNITS[what]
        return size * min(args[count] & 0xffffffff, most)
    if what == "flock":
        form = flock_form(arch, bits, args)
        return struct.calcsize(FLOCK_FORMATS[form]) if form else 0
    if what == "sigset":
        return SIGSET_SIZE
    return 2 * time_bits(what, bits, name) // 8


def flock_form(arch, bits, args):
    """The key of FLOCK_FORMATS for this fcntl command, None if it takes no struct flock."""
    width = LOCK_COMMANDS.get(args[1] & 0xffffffff)
    if width is None or bits == 64:
        return width and "64"
    return "%s %s" % (width, "i386" if arch == "i386" else "arm") if width == "32 wide" else width


def time_bits(what, bits, name):
    """Width of the two halves of a timespec: 64 in the 64-bit ABIs, in the *_time64 calls and in the calls born after those."""
    return 64 if what == "timespec*" or name.endswith("_time64") else bits


def wanted_memory(arch, bits, name, args, memory=None):
    """(address, length, what) rows of the memory that describe() needs for a blocked call; no row crosses a page border.

    On i386 some calls hide another one (see unwrap): ask again with what the first rows brought, and read what that adds.
    """
    if name is None or len(args) < 6:
        return []
    name, args = unwrap(arch, name, args, memory)
    if arch == "i386" and name in WRAPPERS:
        pointer, size = WRAPPERS[name]
        start = args[pointer] & 0xffffffff
        return [(addr, length, name) for addr, length in page_pieces(start, size)] if start else []
    wanted = [(addr, length, what) for what, addr, length in memory_rows(arch, bits, name, args) if length]
    for _, pointer in PATH_ARGUMENTS.get(name, ()):
        wanted.append((args[pointer] & ((1 << bits) - 1), LONGEST_PATH, "path"))
    return [(addr, length, what) for start, size, what in wanted if start for addr, length in page_pieces(start, size)]


def describe(arch, bits, name, args, memory):
    """{item: value} of what a blocked call's arguments mean. An item that could not be read is None; one that the call does not have
    (no timeout: waits for ever) is absent.

    name, args: the real call, where i386 wraps it.  fds: PollFd list.  timeout_s: relative.  until_s, clock: absolute, since the epoch
    ("realtime") or since boot ("monotonic").  address: SockAddr.  path, dirfd, path2, dirfd2.  sems: SemOp list.  lock: FileLock.
    signals: waited for.  mask: blocked meanwhile.  words: (val, uaddr, flags) of futex_waitv.  truncated: the list is longer than that.
    """
    if name is None or len(args) < 6:
        return {}
    name, args = unwrap(arch, name, args, memory)
    found, words = {"name": name, "args": tuple(args)}, as_words(memory)
    plain = name.replace("_time64", "")
    for what, addr, length in memory_rows(arch, bits, name, args):
        data = set_bytes(words, addr, length) if what in ("in", "out", "except") else words.take(addr, length)
        DESCRIBERS[what](found, arch, bits, name, args, data if length else b"", length)
    if plain in TIMEOUT_MS and signed(args[TIMEOUT_MS[plain]]) >= 0:
        found["timeout_s"] = signed(args[TIMEOUT_MS[plain]]) / 1000.0
    for number, (dirfd, pointer) in enumerate(PATH_ARGUMENTS.get(name, ()), 1):
        suffix = "" if number == 1 else str(number)
        found["path" + suffix] = path_at(words, args[pointer] & ((1 << bits) - 1))
        if dirfd is not None:
            found["dirfd" + suffix] = signed(args[dirfd])
    return found


def set_bytes(words, addr, length):
    """A select's bitmap, or None. Programs ask for as many as they may open (1048576) and have a set of 1024 bits: what
    follows it need not be readable, and the kernel does not read it."""
    data = words.upto(addr, length)
    return data if len(data) >= min(length, 128) else None


def path_at(words, addr):
    """The path at `addr`; cut ones end in "..."; None if it was not read."""
    data = words.upto(addr, LONGEST_PATH)
    head, end, _ = data.partition(b"\0")
    if end:
        return text(head)
    return text(data) + "..." if len(data) == LONGEST_PATH else None


def describe_fds(found, arch, bits, name, args, data, length):
    count = args[1] & 0xffffffff
    found["fds"] = None if data is None else decode_pollfds(data, count)
    if count > MOST_FDS:
        found["truncated"] = True


def describe_fdset(events):
    def describer(found, arch, bits, name, args, data, length):
        if not length:
            found.setdefault("fds", [])
        elif data is None or found.get("fds", []) is None:
            found["fds"] = None     # a part of the set is no set
        else:
            found["fds"] = found.get("fds", []) + [PollFd(fd, events) for fd in decode_fdset(data, signed(args[0]))]
            if signed(args[0]) > MOST_SET:
                found["truncated"] = True
    return describer


def describe_time(per_second):
    def describer(found, arch, bits, name, args, data, length):
        if not length:
            return
        what = "timespec*" if name in ("futex_wait", "futex_waitv", "epoll_pwait2") else "timespec"
        value = None if data is None else decode_timespec(data, time_bits(what, bits, name), per_second)
        clock = absolute_clock(name.replace("_time64", ""), args)
        if clock is None:
            found["timeout_s"] = value
        else:
            found["until_s"], found["clock"] = value, clock
    return describer


def absolute_clock(name, args):
    """"realtime" or "monotonic" where the call's time is a moment and not a span, else None."""
    if name.startswith("mq_timed"):
        return "realtime"
    if name == "clock_nanosleep":
        return None if not args[1] & 1 else CLOCK_WORDS.get(signed(args[0]), "clock %d" % signed(args[0]))
    if name in ("futex_wait", "futex_waitv"):
        return CLOCK_WORDS.get(signed(args[5 if name == "futex_wait" else 4]), "clock")
    if name == "futex" and args[1] & 0x7f != FUTEX_WAIT:
        return "realtime" if args[1] & FUTEX_REALTIME or args[1] & 0x7f == FUTEX_LOCK_PI else "monotonic"
    return None


CLOCK_WORDS = {0: "realtime", 1: "monotonic", 7: "boottime", 8: "realtime", 9: "boottime", 11: "tai"}


def describe_address(found, arch, bits, name, args, data, length):
    found["address"] = decode_sockaddr(data) if data else None


def describe_sems(found, arch, bits, name, args, data, length):
    found["sems"] = None if data is None else decode_sembuf(data)


def describe_flock(found, arch, bits, name, args, data, length):
    if length:
        found["lock"] = decode_flock(data, flock_form(arch, bits, args)) if data else None


def describe_signals(found, arch, bits, name, args, data, length):
    found["mask" if name == "rt_sigsuspend" else "signals"] = decode_sigset(data) if data else None


def describe_words(found, arch, bits, name, args, data, length):
    found["words"] = None if data is None else decode_waitv(data)


DESCRIBERS = {"pollfds": describe_fds, "in": describe_fdset("in"), "out": describe_fdset("out"), "except": describe_fdset("pri"),
              "timespec": describe_time(10 ** 9), "timespec*": describe_time(10 ** 9), "timeval": describe_time(10 ** 6),
              "sockaddr": describe_address, "sembuf": describe_sems, "flock": describe_flock, "sigset": describe_signals,
              "waitv": describe_words}


# ROOM CALLS ===================================================================
# A thread's raw registers and wait channel -> what it waits in. Pure. Used to know
# what else to read (COLLECT) and what to say (LINKS). The order of trust: the
# state, what a D thread's wait channel or stack says, the system call with the
# type of its descriptor, the wait channel.

# Wait kinds in which the wait channel says more than the call: the call is what
# the program asked for, the channel where in the kernel it hangs.
DEEP = frozenset('nfs fuse memory oom freezer userfault coredump exit'.split())
DEEP_IN_D = DEEP | {'disk', 'kernel', 'vfork'}
READS = frozenset('read readv pread64 preadv preadv2 recvfrom recvmsg recvmmsg recv getdents getdents64 '
                  'mq_timedreceive splice tee vmsplice recvmmsg_time64'.split())
WRITES = frozenset('write writev pwrite64 pwritev pwritev2 sendto sendmsg sendmmsg send sendfile sendfile64 '
                   'mq_timedsend'.split())
POLLS = frozenset('poll ppoll select pselect6 _newselect ppoll_time64 pselect6_time64'.split())
EPOLLS = frozenset('epoll_wait epoll_pwait epoll_pwait2'.split())
# Calls on a path end at once, or wait in D: asleep in S for long, only FUSE keeps them.
PATH_CALLS = frozenset('stat lstat newfstatat fstatat64 statx access faccessat faccessat2 readlink readlinkat unlink unlinkat '
                       'mkdir mkdirat rename renameat renameat2 chdir statfs statfs64 getdents64 stat64 lstat64'.split())
FILE_KINDS = frozenset('file dir deleted memfd shm'.split())
FD_KIND_WAIT = {
    # kind of descriptor: (wait kind of a reader, of a writer)
    'pipe': ('pipe-read', 'pipe-write'), 'fifo': ('pipe-read', 'pipe-write'),
    'socket': ('socket-read', 'socket-write'), 'tty': ('tty', 'tty-write'),
    'eventfd': ('event', 'event'), 'timerfd': ('event', 'event'), 'signalfd': ('event', 'event'),
    'inotify': ('event', 'event'), 'fanotify': ('event', 'event'), 'userfaultfd': ('event', 'event'),
    'pidfd': ('child', 'child'), 'device': ('event', 'kernel'), 'mqueue': ('ipc', 'ipc'), 'anon': ('event', 'event')}


def process_bits(snap_bits, maps, threads):
    """64 or 32: auxv first, else no mapping above 4 GiB, else no stack pointer above it."""
    if snap_bits:
        return snap_bits
    ends = [row.end for row in maps or () if row.path != '[vsyscall]']
    if ends:
        return 32 if max(ends) <= 1 << 32 else 64
    stacks = [thread.syscall.sp for thread in (threads or {}).values()
              if thread.syscall is not None and thread.syscall.sp]
    if stacks:
        return 32 if max(stacks) < 1 << 32 else 64
    return None


def call_arch(arch, bits):
    """The table that a process's numbers are of: a 32-bit process has its own."""
    if bits == 32:
        return {'x86_64': 'i386', 'aarch64': 'arm'}.get(arch, arch)
    return arch


def call_name(arch, syscall):
    """The call's name, or None: never a wrong one."""
    if syscall is None or syscall.kind != 'call' or syscall.nr is None or arch is None:
        return None
    return syscall_name(arch, syscall.nr)


def signed32(word):
    """A register as an int of C."""
    word &= 0xffffffff
    return word - (1 << 32) if word & 0x80000000 else word


def blocked_fd(arch, name, args):
    """The descriptor that a call works on; None for none."""
    if name is None or not args:
        return None
    fd = call_fd(arch, name, args)
    if fd is None:
        row = signature(name, arch)         # newfstatat(4, ...): the folder that the path starts at
        if row is not None and row.args and row.args[0][1] == 'dirfd':
            fd = signed32(args[0])
    return fd if fd is not None and fd >= 0 else None


def deep_kind(thread, state):
    """(kind, name) of the wait channel or the first telling line of the stack."""
    names = []
    if thread.wchan not in (None, '0'):
        names.append(thread.wchan)
    names.extend(thread.stack or ())
    first = None
    for name in names[:12]:
        row = wchan_row(name)
        if row is None:
            continue
        if row.kind in (DEEP_IN_D if state == 'D' else DEEP):
            return row.kind, name
        first = first or (row.kind, name)
    return first or ('', names[0] if names else '')


def fd_wait(name, fd_row, flags=None):
    """The wait kind of a read or write by what its descriptor is; '' is unknown."""
    kind = fd_row.kind if fd_row is not None else ''
    if kind in FILE_KINDS:
        return 'disk'
    pair = FD_KIND_WAIT.get(kind)
    if pair is None:
        return ''
    return pair[1 if name in WRITES else 0]


def socketcall_name(args):
    """i386's socketcall: the call behind its number (recv is 10)."""
    names = ('', 'socket', 'bind', 'connect', 'listen', 'accept', 'getsockname', 'getpeername', 'socketpair',
             'send', 'recv', 'sendto', 'recvfrom', 'shutdown', 'setsockopt', 'getsockopt', 'sendmsg', 'recvmsg',
             'accept4', 'recvmmsg', 'sendmmsg')
    return names[args[0]] if args and args[0] < len(names) else ''


def wait_of(thread, arch, fds, last=False):
    """-> Wait: what the thread waits in at its first (or last) look.

    kind 'running' is on a CPU or wants one; 'unknown' is asleep, and nothing that may
    be read says where. A wait channel of '0' is never taken for running."""
    stat = thread.last_stat if last else thread.stat
    syscall = thread.last_syscall if last else thread.syscall
    channel = thread.last_wchan if last else thread.wchan
    state = stat.state if stat is not None else '-'
    if state in 'ZXx':
        return Wait('exit', 'state', state)
    if state == '-':
        return Wait('exit', 'state', 'gone')
    if state == 'T':
        return Wait('stop', 'state', channel or '')
    if state == 't':
        return Wait('trace', 'state', channel or '')
    if stat.is_kernel_thread:
        return kernel_thread_wait(thread, state, channel)
    if syscall is not None and syscall.kind == 'running' or (state == 'R' and syscall is None):
        return Wait('running', 'state' if syscall is None else 'syscall', '')
    if last:
        thread = thread._replace(wchan=channel)
    return sleeping_wait(thread, syscall, state, arch, fds)


def kernel_thread_wait(thread, state, channel):
    """A kernel thread: its syscall file means nothing."""
    row = wchan_row(channel) if channel else None
    if state == 'R':
        return Wait('running', 'state', '')
    return Wait(row.kind if row else 'kernel', 'wchan', channel or '')


def sleeping_wait(thread, syscall, state, arch, fds):
    """wait_of for a thread that is not running."""
    kind, channel = deep_kind(thread, state)
    by = 'wchan' if channel == thread.wchan else 'stack'
    call = plain_call(arch, syscall)
    if kind in (DEEP_IN_D if state == 'D' else DEEP):
        return Wait(kind, by, channel, call, call.fd if call else None)
    if call is not None and call.name not in (None, 'restart_syscall'):
        return call_wait(arch, call, kind, channel, state, fds)
    if kind and kind != 'kthread-idle':
        return Wait(kind, by, channel, call)
    if state == 'D':
        return Wait('kernel', 'state', channel, call, sure=False)
    if syscall is not None and syscall.kind == 'outside':
        return Wait('kernel', 'syscall', channel or 'a page fault', None, sure=False)
    if state == 'R':
        return Wait('running', 'state', '')
    return Wait('unknown', 'state', channel, call, sure=False)


def plain_call(arch, syscall):
    """The Call without what memory would tell, or None."""
    if syscall is None or syscall.kind != 'call':
        return None
    key = (arch, syscall.nr, syscall.args)
    call = CALLS_SEEN.get(key)
    if call is None:
        if len(CALLS_SEEN) > 20000:
            CALLS_SEEN.clear()
        call = CALLS_SEEN[key] = decoded_call(*key)
    return call


CALLS_SEEN = {}         # a thread is asked two or three times in one report, and threads of a pool are alike


def decoded_call(arch, nr, args):
    name = syscall_name(arch, nr) if nr is not None and arch is not None else None
    if name is None:
        return Call(nr, None, args, 'system call %d' % nr)
    return Call(nr, name, args, '%s(%s)' % (name, format_args(arch, name, args)), blocked_fd(arch, name, args))


def call_wait(arch, call, kind, channel, state, fds):
    """wait_of by system call: the table's kind, else the descriptor's, else the channel's."""
    if kind == 'fifo-open' and call.name in ('open', 'openat', 'openat2'):
        writes = call.name != 'openat2' and call.args[1 if call.name == 'open' else 2] & 3 == 1
        return Wait('fifo-write' if writes else 'fifo-open', 'syscall', channel, call)
    hint = call_kind(arch, call.name, call.args)
    if state == 'R' and hint in ('memory', 'kernel', 'disk'):
        return Wait('running', 'state', '')         # caught on its way: such a call waits in D, or not at all
    fd_row = (fds or {}).get(call.fd) if call.fd is not None else None
    name = call.name
    call, into = output_side(call, kind, fds)
    fd_row = (fds or {}).get(call.fd) if into else fd_row
    if name == 'socketcall':
        name = socketcall_name(call.args)
        hint = hint or ('socket-write' if name.startswith('send') else 'socket-read' if name.startswith('recv') else '')
    if name in READS or name in WRITES:
        by_fd = fd_wait('write' if into else name, fd_row)
        if by_fd == 'disk' and kind and kind not in ('disk', 'kernel'):
            by_fd = kind                    # a FIFO's or a device's path looks like a file's
        hint = by_fd or kind or hint or ('socket-read' if name.startswith('recv') else '')
    elif name in POLLS:
        hint = 'poll'
    elif name in ('open', 'openat', 'openat2'):
        hint = kind or hint
    elif name in ('clone', 'clone3', 'fork', 'vfork') and state == 'D':
        hint = 'vfork'
    elif name in ('fcntl', 'fcntl64') and not hint:
        hint = 'file-lock'
    elif not hint:
        hint = kind
    if hint in ('', 'kernel', 'disk') and state == 'S' and name in PATH_CALLS:
        return Wait('fuse', 'syscall', channel or name, call, call.fd, sure=False)
    if hint in ('', 'kthread-idle'):
        hint = 'kernel' if state == 'D' else 'disk' if fd_row is not None and fd_row.kind in FILE_KINDS else 'unknown'
    return Wait(hint, 'syscall', channel or name, call, call.fd)


OUTPUTS = {'splice': 2, 'tee': 1}      # the argument with the descriptor that such a call writes to; it reads the first


def output_side(call, kind, fds):
    """(Call, True) with the descriptor that it writes to where a splice, tee or vmsplice waits for room in its output: the
    wait channel tells, and of vmsplice, which has one descriptor, the end that it is."""
    if call.name == 'vmsplice':
        row = (fds or {}).get(call.fd)
        return call, kind == 'pipe-write' or row is not None and row.flags is not None and row.flags & 3 == 1
    if call.name not in OUTPUTS or kind not in ('pipe-write', 'socket-write'):
        return call, False
    return call._replace(fd=signed32(call.args[OUTPUTS[call.name]])), True


# ROOM COLLECT =================================================================
# Which files to ask for, in which order -> one Snapshot; several looks -> what
# moved. Cheap and safe files first, those that may block last. It decides
# nothing. To collect one more file: a field in Snapshot, a line where it is read.

LOOKS = 10                  # states drawn in a strip
MANY_THREADS = 300          # past this the middle looks visit only the threads that matter
MANY_FDS = 2000             # past this fdinfo is read only where it says something
PROCESS_LIMIT = 60000       # processes visited when children are sought by their PPid
CHILD_FILES = 64            # threads whose children file is read


class Snapshot(NamedTuple):
    """All that was read of one process, of what it waits for, and of its host."""
    pid: int
    asked: int
    taken_at: Optional[float] = None
    watched_ms: int = 0
    looks_ms: tuple = ()
    arch: Optional[str] = None
    bits: Optional[int] = None
    clk_tck: int = 100
    page_size: int = 4096
    hostname: Optional[str] = None
    kernel: Optional[str] = None
    live: bool = True
    show_secrets: bool = False
    full: bool = False
    stat: Optional[Stat] = None
    status: Optional[dict] = None
    last_status: Optional[dict] = None
    argv: Optional[list] = None
    exe: Optional[str] = None
    cwd: Optional[str] = None
    root: Optional[str] = None
    environ: Optional[list] = None
    limits: Optional[dict] = None
    io: Optional[dict] = None
    last_io: Optional[dict] = None
    oom_score: Optional[int] = None
    oom_score_adj: Optional[int] = None
    loginuid: Optional[int] = None
    ns: Optional[dict] = None
    reader_ns: Optional[dict] = None
    reader_euid: Optional[int] = None
    maps: Optional[list] = None
    memory: Optional[dict] = None
    rollup: Optional[dict] = None
    mounts: Optional[list] = None
    threads: Optional[dict] = None
    now_clock_ms: Optional[float] = None
    cpu_clocks: Optional[dict] = None
    fds: Optional[dict] = None
    fd_count: Optional[int] = None
    last_fd_count: Optional[int] = None
    sockets: Optional[dict] = None
    last_sockets: Optional[dict] = None
    words: Optional[dict] = None
    last_words: Optional[dict] = None
    awake: Optional[list] = None
    python: Optional[dict] = None
    last_python: Optional[dict] = None
    java: Optional[dict] = None
    cgroup: Optional[dict] = None
    last_cgroup: Optional[dict] = None
    parents: tuple = ()
    children: tuple = ()
    tracer: Optional[tuple] = None
    tid_pids: Optional[dict] = None
    lockers: Optional[dict] = None
    masters: tuple = ()
    others: Optional[dict] = None
    holders: Optional[dict] = None
    unix: Optional[dict] = None
    listeners: Optional[dict] = None
    tcp_info: Optional[dict] = None
    locks: Optional[list] = None
    names: Optional[dict] = None
    fd_sizes: Optional[dict] = None
    replaced: Optional[list] = None
    fuse_servers: Optional[list] = None
    host: Optional[dict] = None
    last_host: Optional[dict] = None
    gaps: Optional[dict] = None


class Other(NamedTuple):
    """Another process that the target waits for, as far as it was looked at."""
    pid: int
    stat: Optional[Stat] = None
    argv: Optional[list] = None
    threads: tuple = ()
    fds: Optional[dict] = None
    caught: Optional[int] = None        # signals that it handles
    moved: bool = False                 # it ran between the first and the last look at the chain


def parsed(parse, data, empty=None):
    """parse(data), or None where the file was not read."""
    return empty if data is None else parse(data)


# --- threads

def read_thread(reader, base, tid):
    """One thread of another process, without its status -> Thread, or None when it has ended."""
    at = '%s/task/%d/' % (base, tid)
    stat = parsed(parse_stat, reader.read(at + 'stat'))
    if stat is None:
        return None
    return Thread(
        tid, stat,
        None,
        parsed(parse_wchan, reader.read(at + 'wchan')),
        parsed(parse_syscall, reader.read(at + 'syscall')),
        schedstat=parsed(parse_schedstat, reader.read(at + 'schedstat')))


def read_threads(reader, pid):
    """All threads of a process -> {tid: Thread}, or None. Kernels before 2.6 and
    pruned snapshots lack task/: the process then stands for its one thread."""
    base = 'proc/%d' % pid
    tids = reader.pids(base + '/task')
    if not tids:
        return None
    threads, per = {}, len(THREAD_FILES)
    for place in range(0, len(tids), 200):              # some at a time: the raw bytes of all never lie in memory together
        some = tids[place:place + 200]
        rows = reader.read_many(base + '/task', ['%d/%s' % (tid, name) for tid in some for name in THREAD_FILES])
        for at, tid in enumerate(some):
            thread = thread_of(tid, *rows[at * per:at * per + per])
            if thread is not None:
                threads[tid] = thread
    return threads


THREAD_FILES = ('stat', 'status', 'schedstat', 'wchan', 'syscall')     # schedstat before the call: see awake_since


def thread_of(tid, stat, status, schedstat, wchan, syscall):
    """Thread out of its files' bytes, None where it has ended."""
    stat = parsed(parse_stat, stat)
    return None if stat is None else Thread(
        tid, stat, parsed(parse_thread_status, status), parsed(parse_wchan, wchan), parsed(parse_syscall, syscall),
        schedstat=parsed(parse_schedstat, schedstat))


def lone_thread(reader, pid, stat, status):
    """The process itself as its only thread, where task/ could not be read."""
    base = 'proc/%d/' % pid
    return {pid: Thread(pid, stat, status,
                        parsed(parse_wchan, reader.read(base + 'wchan')),
                        parsed(parse_syscall, reader.read(base + 'syscall')),
                        schedstat=parsed(parse_schedstat, reader.read(base + 'schedstat')))}


def needs_stack(thread):
    """In D, or asleep where neither wait channel nor call tells: the kernel stack helps."""
    if thread.stat.state == 'D':
        return True
    return thread.stat.state in 'SI' and thread.wchan in ('0', None)


def read_stacks(reader, pid, threads, most=32):
    """stack of the threads where it helps (root only); a first EACCES ends it."""
    def telling(tid):
        thread = threads[tid]
        outside = thread.syscall is not None and thread.syscall.kind == 'outside'
        return (thread.stat.state != 'D', not outside, tid != pid)
    for tid in sorted([tid for tid in threads if needs_stack(threads[tid])], key=telling)[:most]:
        path = 'proc/%d/task/%d/stack' % (pid, tid)
        data = reader.read(path)
        if data is None:
            if reader.gaps.get(path) in ('EACCES', 'EPERM'):
                return
            continue
        threads[tid] = threads[tid]._replace(stack=parse_stack(data))


def look_again(reader, pid, threads, tids):
    """The moving figures of some threads, appended to their looks."""
    for tid, data in zip(tids, reader.read_many('proc/%d/task' % pid, ['%d/stat' % tid for tid in tids])):
        if data is None and tid == pid:
            data = reader.read('proc/%d/stat' % pid)
        look = parsed(parse_stat_look, data) or Look('-')
        threads[tid] = threads[tid]._replace(looks=threads[tid].looks + (look,))


def last_look(reader, pid, threads, tids):
    """The last look at each thread: what it waits in now, what it used since."""
    per = len(THREAD_FILES)
    for place in range(0, len(tids), 200):
        some = tids[place:place + 200]
        rows = reader.read_many('proc/%d/task' % pid, ['%d/%s' % (tid, name) for tid in some for name in THREAD_FILES])
        for at, tid in enumerate(some):
            threads[tid] = last_of(threads[tid], rows[at * per:at * per + per])
    if tids == [pid] and threads[pid].last_stat is None:        # a snapshot may hold PID/stat alone
        rows = reader.read_many('proc/%d' % pid, THREAD_FILES)
        threads[pid] = last_of(threads[pid]._replace(looks=threads[pid].looks[:-1]), rows)


def last_of(thread, rows):
    """A Thread with what the last look's files say of it."""
    stat, status, schedstat, wchan, syscall = rows
    stat = parsed(parse_stat, stat)
    look = Look(stat.state, stat.utime, stat.stime, stat.majflt) if stat else Look('-')
    return thread._replace(
        looks=thread.looks + (look,), last_stat=alike(stat, thread.stat), last_status=alike(parsed(parse_thread_status, status), thread.status),
        last_wchan=parsed(parse_wchan, wchan), last_syscall=alike(parsed(parse_syscall, syscall), thread.syscall),
        last_schedstat=alike(parsed(parse_schedstat, schedstat), thread.schedstat))


def alike(new, old):
    """The old record where the new one says the same: most of 2,000 threads did not move, and need not be held twice."""
    return old if new == old else new


def worth_watching(threads):
    """The tids that the middle looks visit: all, or where there are very many the
    ones that run, are in D, or stand for a group of equals."""
    if len(threads) <= MANY_THREADS:
        return list(threads)
    seen, chosen = {}, []
    for tid, thread in threads.items():
        key = (thread.stat.state, thread.wchan, thread.syscall and thread.syscall[1:3])
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= 3 or thread.stat.state not in 'SI':
            chosen.append(tid)
    return chosen[:MANY_THREADS]


# --- descriptors and sockets


def read_fds(reader, pid, base, everything=True):
    """{fd: Fd}, or None. base is the process, or a live thread of one whose leader ended."""
    numbers = reader.pids(base + '/fd')
    if numbers is None:
        return None
    fds = {}
    for fd, target in zip(numbers, reader.link_many(base + '/fd', [str(fd) for fd in numbers])):
        if target is None and reader.gaps.get('%s/fd/%d' % (base, fd)) == 'ENOENT':
            continue
        what = fd_kind(target)
        fds[fd] = Fd(fd, target, what.kind, what.inode)
    wanted = [fd for fd in fds if everything or fds[fd].kind not in ('socket', 'pipe', 'file')]
    for place in range(0, len(wanted), 2000):
        some = wanted[place:place + 2000]
        for fd, data in zip(some, reader.read_many(base + '/fdinfo', [str(fd) for fd in some])):
            if data is not None and len(data) >= READ_MANY_BYTES:       # an epoll set of hundreds
                data = reader.read('%s/fdinfo/%d' % (base, fd))
            if data is not None:
                fds[fd] = fds[fd]._replace(info=parse_fdinfo(data))
    return fds


NET_FILES = ('tcp', 'tcp6', 'udp', 'udp6', 'unix', 'raw', 'raw6', 'netlink', 'packet', 'udplite')


def read_sockets(reader, base, wanted, protos=NET_FILES):
    """{proto: list of Socket} of the target's own network namespace, or None: the target's
    own rows, the other ends of its connections and the listeners there, and what shares a port with it (a listener's
    clients). A busy host has 100,000 rows: only those are decoded."""
    raw, own, left = {}, [], set(wanted)
    for proto in protos:
        if not left:
            break
        data = reader.read('%s/net/%s' % (base, proto))
        if data is not None:
            raw[proto] = data
            rows = parse_net(proto, data, wanted).sockets
            own += rows.values()
            left.difference_update(rows)
    tcp = [row for row in own if row.proto.startswith('tcp')]
    ports = {split_endpoint(row.local)[1] for row in tcp}
    tables = {}
    for proto, data in raw.items():
        if proto.startswith('tcp'):
            table = parse_net(proto, data, wanted, ports, mirror_pairs(tcp) | {(split_endpoint(row.remote)[1], 0) for row in tcp})
        else:
            table = parse_net(proto, data, wanted)
        tables[proto] = list(table.sockets.values()) + table.nameless
    return tables or None


def by_inode(tables):
    """{inode: Socket} of all tables."""
    rows = {}
    for table in (tables or {}).values():
        for row in table:
            if row.inode:
                rows.setdefault(row.inode, row)
    return rows


# --- the family

def read_stat(reader, pid):
    """PID/stat -> Stat or None. Where reading it blocks, status has the most of it."""
    path = 'proc/%d/stat' % pid
    data = reader.read(path)
    if data is None and reader.gaps.get(path) == 'TIMEOUT':
        status = parsed(parse_status, reader.read('proc/%d/status' % pid))
        return stat_of_status(pid, status) if status else None
    return parsed(parse_stat, data)


def read_stats(reader, pids):
    """[Stat or None] of many processes, as read_stat."""
    rows = reader.together('read', ['proc/%d/stat' % pid for pid in pids])
    return [parsed(parse_stat, data) if data is not None else read_stat(reader, pid) if reader.gaps.get('proc/%d/stat' % pid) == 'TIMEOUT' else None
            for pid, data in zip(pids, rows)]


def stat_of_status(pid, status):
    """What status knows of stat's fields."""
    return Stat(pid, status.get('Name', '?'), status.get('State', '?')[:1], status_number(status, 'PPid'),
                num_threads=status_number(status, 'Threads'))


def read_parents(reader, stat):
    """The chain up to pid 1 -> tuple of (Stat, argv)."""
    chain, seen = [], set()
    ppid = stat.ppid if stat is not None else None
    while ppid and ppid not in seen and len(chain) < 32:
        seen.add(ppid)
        above = read_stat(reader, ppid)
        if above is None:
            break
        chain.append((above, parsed(parse_cmdline, reader.read('proc/%d/cmdline' % ppid))))
        ppid = above.ppid
    return tuple(chain)


def child_pids(reader, pid, tids):
    """Pids of the children: the children files of a live process, else the PPid of
    every process. None where neither could be read."""
    found, complete = set(), reader.live and len(tids) <= CHILD_FILES
    for tid in list(tids)[:CHILD_FILES]:
        data = reader.read('proc/%d/task/%d/children' % (pid, tid))
        if data is None:
            complete = False
            break
        found.update(child for child in map(number, text(data).split()) if child is not None)
    if complete:
        return found
    pids = reader.pids('proc')
    if pids is None:
        return found or None
    with Unrecorded(reader):
        found.update(other for other in pids[:PROCESS_LIMIT] if parent_of(reader, other) == pid)
    return found


def parent_of(reader, pid):
    """Its PPid, None where that cannot be read. Live out of status, which never blocks as stat may: no question to the child
    for each of a thousand processes."""
    if reader.live:
        found = PPID_LINE.search(reader.read('proc/%d/status' % pid) or b'')
        return int(found.group(1)) if found else None
    stat = read_stat(reader, pid)
    return stat and stat.ppid


PPID_LINE = re.compile(br'^PPid:\t([0-9]{1,10})$', re.M)


class Unrecorded:
    """While it is open, what is read is not recorded and its gaps are forgotten: a
    search through other processes, of which only the matches matter."""

    def __init__(self, reader):
        self.reader = reader

    def __enter__(self):
        self.saved = self.reader.record, dict(self.reader.gaps)
        self.reader.record = None

    def __exit__(self, *error):
        self.reader.record, self.reader.gaps = self.saved


def read_other(reader, pid, most_threads=64):
    """Another process, as far as a chain needs it -> Other, or None when it is gone."""
    if not reader.hold(pid):
        return None
    stat = read_stat(reader, pid)
    if stat is None:
        return None
    threads = {}
    for tid in (reader.pids('proc/%d/task' % pid) or [])[:most_threads]:
        thread = read_thread(reader, 'proc/%d' % pid, tid)
        if thread is not None:
            threads[tid] = thread
    if not threads:
        threads = lone_thread(reader, pid, stat, None)
    argv = parsed(parse_cmdline, reader.read('proc/%d/cmdline' % pid))
    status = parsed(parse_status, reader.read('proc/%d/status' % pid))
    return Other(pid, stat, argv, tuple(threads.values()), caught=status_mask(status, 'SigCgt'))


def other_fds(reader, other, arch):
    """The descriptors that the other process's threads are blocked on."""
    fds = {}
    for thread in other.threads:
        fd = blocked_fd(arch, call_name(arch, thread.syscall), thread.syscall.args) if thread.syscall else None
        if fd is not None and fd not in fds:
            target = reader.link('proc/%d/fd/%d' % (other.pid, fd))
            if target is not None:
                what = fd_kind(target)
                info = parsed(parse_fdinfo, reader.read('proc/%d/fdinfo/%d' % (other.pid, fd)))
                fds[fd] = Fd(fd, target, what.kind, what.inode, info)
    return fds


# --- memory of the target: arguments, lock words, Python

def wanted_words(threads, arch, bits):
    """[(address, length)] that decoding the blocked calls and judging the futexes takes."""
    wanted, waits = {}, []
    for tid, thread in threads.items():
        name = call_name(arch, thread.syscall)
        if name is None:
            continue
        wait = futex_call(arch, tid, thread.syscall, name)
        if wait is not None:
            waits.append(wait)
        for row in wanted_memory(arch, bits or 64, name, thread.syscall.args):
            wanted[row[0]] = max(wanted.get(row[0], 0), row[1])
    for address, length in lock_words(waits):
        wanted[address] = max(wanted.get(address, 0), length)
    return sorted(wanted.items())[:8192]


def read_twice(reader, pid, key, wanted):
    """Two reads of words of the target's memory, one after the other -> two {address: bytes}, None where nothing may be read."""
    if not wanted:
        return {}, {}
    if reader.live:                         # in one question: the mappings are read and searched once
        both = reader.ask(key, 'memory_words_twice', pid, wanted, lock='mm:%d' % pid) or (None, None)
        reader.answers[key], reader.answers['last_' + key] = both
    looks = [reader.ask(name, 'memory_words_twice', pid, wanted) for name in (key, 'last_' + key)]         # live they are known by now
    return tuple(None if rows is None else {address: data for address, data in rows if data is not None} for rows in looks)


def futex_calls(threads, arch):
    """The FutexWait records of the threads that sleep in a futex."""
    waits = [futex_call(arch, tid, thread.syscall, call_name(arch, thread.syscall)) for tid, thread in threads.items()]
    return [wait for wait in waits if wait is not None]


# --- the chain across processes

def waited_targets(threads, fds, arch, words, bits):
    """The pipes, FIFOs and sockets that threads are blocked on -> {fd number: Fd}."""
    waited, words = {}, as_words(words or {})
    for thread in threads:
        name = call_name(arch, thread.syscall)
        if name is None:
            continue
        numbers = [blocked_fd(arch, name, thread.syscall.args)]
        if name in POLLS:
            numbers = [fd for fd, _ in poll_members(arch, bits, name, thread.syscall.args, words)[:8]]
        elif name in OUTPUTS:
            numbers.append(signed32(thread.syscall.args[OUTPUTS[name]]))
        for fd in numbers:
            row = (fds or {}).get(fd)
            if row is not None and row.kind in ('pipe', 'fifo', 'socket', 'file'):
                waited[fd] = row
    return waited


def poll_members(arch, bits, name, args, words):
    """[(fd, events)] of a poll or select, from memory; () where it could not be read."""
    details = describe(arch, bits or 64, name, args, words)
    return tuple((row[0], row[1]) for row in (details or {}).get('fds') or ())


def same_net(ns, reader_ns):
    """The target's network namespace is the reader's: sock_diag answers for it."""
    return bool(ns and reader_ns and ns.get('net') and ns.get('net') == reader_ns.get('net'))


def holder_wants(waited, tables, unix):
    """Link targets to look for among all processes: the other ends of what is waited on."""
    wants = set()
    rows, tcp = by_inode(tables), tables_tcp(tables)
    index = mirror_index(tcp)
    for row in waited.values():
        if row.kind == 'pipe':
            wants.add(row.target)
        elif row.kind in ('fifo', 'file') and row.target:
            wants.add(row.target)
        elif row.kind == 'socket':
            peer = (unix or {}).get(row.inode, {}).get('peer_inode')
            if peer:
                wants.add('socket:[%d]' % peer)
            mine = rows.get(row.inode)
            other = tcp_peer_on_host(mine, index) if mine is not None else None
            if other is not None and other.inode:
                wants.add('socket:[%d]' % other.inode)
            listener = unaccepted_by(row.inode, mine, tcp, index, unix)
            if listener:
                wants.add('socket:[%d]' % listener)
    return wants


def unaccepted_by(inode, mine, tcp, index, unix):
    """The inode of the listener in whose queue a socket of the target waits, or None."""
    if mine is not None and mine.proto.startswith('tcp'):
        listener = listener_behind(mine, tcp, index)
        return listener.inode if listener is not None else None
    try:
        peer = unix_peer(inode, unix)
    except (KeyError, TypeError):       # of a damaged record
        return None
    return peer.inode if peer.word == 'not-accepted' else None


def tables_tcp(tables):
    """All TCP rows of both families."""
    return [row for proto in ('tcp', 'tcp6') for row in (tables or {}).get(proto, ())]


def find_ends(reader, key, wants, skip_pid, budget_s=1.0):
    """Who holds the other ends -> the scan's result, from the record in a replay."""
    if not wants:
        return None
    found = reader.ask(key, 'find_holders', sorted(wants), budget_s, [skip_pid, os.getpid()], skip_pid)
    if found is None and not reader.live and 'answers' not in reader.meta:
        with Unrecorded(reader):
            found = snapshot_holders(reader, sorted(wants), skip_pid)
    return found


# --- the order of a diagnosis

HOST_FILES = (('loadavg', 'parse_loadavg'), ('meminfo', 'parse_meminfo'), ('uptime', 'parse_uptime'),
              ('stat', 'parse_host_stat'), ('pressure/cpu', 'parse_pressure'),
              ('pressure/memory', 'parse_pressure'), ('pressure/io', 'parse_pressure'))


def read_host(reader, cpuinfo=True):
    """The host in brief -> dict by file name."""
    host = {}
    for name, parser in HOST_FILES:
        host[name] = parsed(globals()[parser], reader.read('proc/' + name))
    if cpuinfo:
        host['cpuinfo'] = parsed(parse_cpuinfo, reader.read('proc/cpuinfo'))
    return host


def machine(reader):
    """The architecture that the kernel was of: never that of the replaying machine."""
    told = (reader.fact('arch', lambda: os.uname().machine) or one_line(reader.read('proc/sys/kernel/arch'))
            or arch_from_cpuinfo(reader.read('proc/cpuinfo') or b'') or arch_from_version(reader.read('proc/version') or b''))
    return (arch_name(told) or told) if isinstance(told, str) else None


def arch_from_cpuinfo(data):
    """x86 has flags ('lm' is long mode); ARM of 64 bits says CPU architecture 8."""
    fields = {}
    for line in text(data[:65536]).split('\n'):
        name, colon, value = line.partition(':')
        if colon:
            fields.setdefault(name.strip(), value.split())
    if 'flags' in fields and 'vendor_id' in fields:
        return 'x86_64' if 'lm' in fields['flags'] else 'i386'
    if 'CPU implementer' in fields:
        return 'aarch64' if fields.get('CPU architecture') in (['8'], ['AArch64']) else 'arm'
    return None


def arch_from_version(data):
    """The name of the compiler in /proc/version, or of a Debian kernel."""
    for word, arch in ((b'x86_64', 'x86_64'), (b'-amd64', 'x86_64'), (b'aarch64', 'aarch64'), (b'-arm64', 'aarch64')):
        if word in data:
            return arch
    return None


def arch_from_maps(maps):
    """The dynamic linker or [vsyscall] gives the architecture away."""
    for row in maps or ():
        if row.path == '[vsyscall]' or 'x86-64' in row.path or 'x86_64' in row.path:
            return 'x86_64'
        if 'aarch64' in row.path:
            return 'aarch64'
    return None


def read_namespaces(reader, base):
    """{name: inode} of ns/*, or None where no link may be read."""
    found = {}
    for name in ('cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'):
        link = reader.link('%s/ns/%s' % (base, name))
        if link is not None:
            found[name] = ns_inode(link)
    return found or None


def living_base(pid, threads):
    """Where the files are that a zombie leader has no more: under a live thread."""
    leader = (threads or {}).get(pid)
    if leader is not None and leader.stat.state in 'ZX':
        for tid, thread in threads.items():
            if thread.stat.state not in 'ZX':
                return 'proc/%d/task/%d' % (pid, tid)
    return 'proc/%d' % pid


class Watch:
    """When the later looks are due. Live they are spread over the seconds; of a
    snapshot they are those that it holds."""

    def __init__(self, reader, seconds):
        self.reader, self.started = reader, time.monotonic()
        self.seconds = seconds
        if reader.live:
            step = seconds / (LOOKS - 1.0)
            self.due = [step * look for look in range(1, LOOKS)] if seconds > 0 else []
        else:
            self.due = reader.later_looks()[:60]        # ms, as the folders are called

    def turn(self, due_s):
        """Wait until a look is due (seconds; of a snapshot its ms) and turn the reader to it -> its ms."""
        ms = due_s
        if self.reader.live:
            left = self.started + due_s - time.monotonic()
            if left > 0:
                time.sleep(left)
            ms = max(1, int((time.monotonic() - self.started) * 1000))
        self.reader.at(ms)
        return ms


def collect(reader, pid, seconds=1.0, full=False):
    """Everything about one process -> Snapshot, or None when there is no such process."""
    reader.hold(pid)
    stat = read_stat(reader, pid)
    if stat is None:
        return None
    s = dict.fromkeys(Snapshot._fields)
    s.update({'pid': pid, 'asked': pid, 'stat': stat, 'live': reader.live, 'full': full,
         'show_secrets': bool(reader.show_secrets or reader.meta.get('show_secrets')),
              'parents': (), 'masters': (), 'looks_ms': (), 'watched_ms': 0})
    read_cheap(reader, pid, s)
    watch = Watch(reader, seconds)
    read_first_threads(reader, pid, s)
    read_static(reader, pid, s, full)
    watch_threads(reader, pid, s, watch)
    reader.at(0)
    read_guarded(reader, pid, s)
    s['gaps'] = dict(reader.gaps)
    s.pop('base')
    return Snapshot(**s)


def read_cheap(reader, pid, s):
    """What costs nothing and blocks on nothing."""
    base = 'proc/%d/' % pid
    s['taken_at'] = epoch_of(reader.fact('taken_at', time.time))
    s['clk_tck'] = positive(reader.fact('clk_tck', lambda: os.sysconf('SC_CLK_TCK')), 100)
    s['page_size'] = positive(reader.fact('page_size', lambda: os.sysconf('SC_PAGE_SIZE')), 4096)
    s['reader_euid'] = reader.fact('euid', os.geteuid)
    s['status'] = parsed(parse_status, reader.read(base + 'status'))
    s['host'] = read_host(reader)
    s['arch'] = machine(reader)
    s['kernel'] = one_line(reader.read('proc/sys/kernel/osrelease')) or kernel_of_version(reader.read('proc/version'))
    s['hostname'] = reader.fact('hostname') or one_line(reader.read('proc/sys/kernel/hostname'))
    s['reader_ns'] = read_namespaces(reader, 'proc/self')
    if s['taken_at'] is None:
        btime, uptime = (s['host']['stat'] or {}).get('btime'), (s['host']['uptime'] or (None,))[0]
        s['taken_at'] = btime + uptime if btime and uptime else None


def epoch_of(value):
    """Seconds since the epoch of a meta.json's time: a number, or ISO 8601 in UTC."""
    if isinstance(value, str):
        import calendar
        try:
            return float(calendar.timegm(time.strptime(value[:19], '%Y-%m-%dT%H:%M:%S')))
        except ValueError:
            return None
    return value if isinstance(value, (int, float)) else None


def positive(value, default):
    """A number of meta.json that must make sense."""
    return value if isinstance(value, int) and 0 < value <= 1 << 24 else default


def one_line(data):
    """A file of one line as str, or None."""
    return text(data).strip() if data else None


def kernel_of_version(data):
    """The release out of /proc/version: 'Linux version 5.10.0-32 (...'."""
    words = text(data).split() if data else ()
    return words[2] if len(words) > 2 else None


def read_first_threads(reader, pid, s):
    """The first look at every thread."""
    threads = read_threads(reader, pid)
    if not threads:
        threads = lone_thread(reader, pid, s['stat'], s['status'])
    read_stacks(reader, pid, threads)
    s['threads'] = threads
    s['base'] = living_base(pid, threads)
    now = parsed(parse_sched, reader.read('proc/self/sched')) if reader.live else None
    clock = now.get('se.exec_start') if now else None
    s['now_clock_ms'] = reader.fact('now_clock_ms', lambda: clock)
    chosen = worth_watching(threads)[:64]
    cpus = sorted({threads[tid].stat.processor for tid in chosen} - {None})[:16]
    clocks = reader.ask('cpu_clocks', 'cpu_clocks', cpus) if clock or not reader.live else None
    s['cpu_clocks'] = {cpu: ms for cpu, ms in clocks.items() if is_number(ms)} if isinstance(clocks, dict) else {}
    for tid in chosen:
        sched = parsed(parse_sched, reader.read('proc/%d/task/%d/sched' % (pid, tid)))
        if sched:
            threads[tid] = threads[tid]._replace(exec_start_ms=sched.get('se.exec_start'))


def cpu_clocks(cpus):
    """In the guarded child: {cpu: its scheduler's clock in ms}, as exec_start counts. Each CPU has a clock of its own, less
    the time that interrupts and the hypervisor took from it: they differ by 0.4 s after hours, by more after months. So
    the child moves to each for a moment, but only to those that it may be scheduled on anyway."""
    allowed, found = os.sched_getaffinity(0), {}
    try:
        for cpu in cpus:
            if cpu in allowed:
                os.sched_setaffinity(0, {cpu})
                clock = parse_sched(read_whole('/proc/self/sched')).get('se.exec_start')
                if clock:
                    found[cpu] = clock
    finally:
        os.sched_setaffinity(0, allowed)
    return found


def read_static(reader, pid, s, full):
    """What does not move in a second: descriptors, sockets, limits, namespaces, family."""
    base = s['base']
    s['fds'] = read_fds(reader, pid, base, full or fd_count(reader, base) <= MANY_FDS)
    s['fd_count'] = len(s['fds']) if s['fds'] is not None else None
    s['ns'] = read_namespaces(reader, base)
    s['cwd'], s['root'] = reader.link(base + '/cwd'), reader.link(base + '/root')
    s['limits'] = parsed(parse_limits, reader.read('proc/%d/limits' % pid))
    s['io'] = parsed(parse_io, reader.read('proc/%d/io' % pid))
    for name in ('oom_score', 'oom_score_adj', 'loginuid'):
        s[name] = number(one_line(reader.read('proc/%d/%s' % (pid, name))))
    s['mounts'] = parsed(parse_mountinfo, reader.read(base + '/mountinfo'))
    s['fds'] = refined_kinds(s['fds'], s['arch'], s['mounts'])
    inodes = {row.inode for row in (s['fds'] or {}).values() if row.kind == 'socket'}
    s['sockets'] = read_sockets(reader, base, inodes) if inodes else {}
    s['parents'] = read_parents(reader, s['stat'])
    read_children(reader, pid, s)
    s['cgroup'] = collect_cgroup(reader, pid)
    s['locks'] = parsed(parse_locks, reader.read('proc/locks'))
    tracer = status_number(s['status'], 'TracerPid')
    s['tracer'] = (read_stat(reader, tracer), tracer) if tracer else None


def fd_count(reader, base):
    """How many descriptors there are; 0 where they may not be listed."""
    return len(reader.names(base + '/fd') or ())


def refined_kinds(fds, arch, mounts):
    """Folders and message queues look like files in their links: fdinfo and mounts tell."""
    for fd, row in (fds or {}).items():
        if row.kind == 'file' and row.info:
            kind = refine_kind(row.kind, row.target, row.info, arch or 'x86_64', mounts)
            if kind != 'file':
                fds[fd] = row._replace(kind=kind)
    return fds


def read_children(reader, pid, s):
    """The children's Stat, and why None: it could not be read."""
    pids = child_pids(reader, pid, s['threads'])
    rows = read_stats(reader, sorted(pids or ())[:2000])
    s['children'] = tuple(row for row in rows if row is not None) if pids is not None else None


def watch_threads(reader, pid, s, watch):
    """The later looks, and after them the last, which also reads what moved besides."""
    threads = s['threads']
    chosen = worth_watching(threads)
    looks = []
    read_mind(reader, pid, s)
    s['exe'] = reader.link(s['base'] + '/exe')
    if find_python((), s['exe'] or s['stat'].comm):
        s['python'] = reader.ask('python', 'python_stacks', pid, sorted(threads), 1.5, lock='mm:%d' % pid)
    due = watch.due
    for due_s in due[:-1]:
        looks.append(watch.turn(due_s))
        look_again(reader, pid, threads, chosen)
    if due:
        looks.append(watch.turn(due[-1]))
        last_look(reader, pid, threads, list(threads))
        read_last(reader, pid, s)
    s['looks_ms'] = tuple(looks)
    s['watched_ms'] = looks[-1] if looks else 0


def read_last(reader, pid, s):
    """The process's moving figures at the last look."""
    base = s['base']
    s['last_status'] = parsed(parse_status, reader.read('proc/%d/status' % pid))
    s['last_io'] = parsed(parse_io, reader.read('proc/%d/io' % pid))
    names = reader.names(base + '/fd')
    s['last_fd_count'] = len(names) if names is not None else None
    protos = [proto for proto in s['sockets'] or () if proto in ('tcp', 'tcp6', 'udp', 'unix')]
    inodes = {row.inode for row in (s['fds'] or {}).values() if row.kind == 'socket'}
    s['last_sockets'] = read_sockets(reader, base, inodes, protos) if protos else None
    ask_unix_again(reader, s)
    s['last_cgroup'] = collect_cgroup_later(reader, s['cgroup'])
    s['last_host'] = read_host(reader, cpuinfo=False)


def ask_unix_again(reader, s):
    """The queues of those unix sockets in which something waited: only sock_diag has them, net/unix never."""
    filled = sorted(inode for inode, row in (s['unix'] or {}).items() if isinstance(row, dict) and row.get('rqueue'))
    tables = s['last_sockets'] or {}
    again = reader.ask('last_unix', 'ask_unix', filled[:1024]) if filled and tables.get('unix') else None
    queues = {inode: row.get('rqueue') for inode, row in again.items() if isinstance(row, dict)} if isinstance(again, dict) else {}
    if queues:
        tables['unix'] = [row._replace(recv_q=queues[row.inode]) if isinstance(queues.get(row.inode), int) else row for row in tables['unix']]


def read_mind(reader, pid, s):
    """What the threads wait for: words of memory, Python's frames, other processes."""
    bits = process_bits(None, None, s['threads'])
    s['bits'] = bits
    arch = call_arch(s['arch'], bits)
    s['words'], s['last_words'] = read_twice(reader, pid, 'words', wanted_words(s['threads'], arch, bits))
    pointed = more_words(futex_calls(s['threads'], arch), s['words'] or {})
    if pointed:
        for words, more in zip((s['words'], s['last_words']), read_twice(reader, pid, 'more_words', pointed)):
            if words is not None:
                words.update(more or {})
    s['awake'] = read_awake(reader, pid, s['threads'], arch)
    follow_chain(reader, pid, s, arch)


def read_awake(reader, pid, threads, arch):
    """The futex waiters that were awake at any moment since the first look. The lock words were read in between: of a
    waiter that slept all the while, and of no other, they are what it waits for. A contended lock of a healthy
    program would else look like a ring: the waiter of the first look is the owner of the second."""
    rows = [(tid, list(thread.schedstat or ())[:3], [thread.syscall.nr] + list(thread.syscall.args)) for tid, thread in threads.items()
            if futex_call(arch, tid, thread.syscall, call_name(arch, thread.syscall)) is not None]
    return reader.ask('awake', 'awake_since', pid, rows) if rows else []


def awake_since(pid, rows):
    """In the guarded child: the tids whose scheduling figures are not any more what they were before their call was read;
    whose call is not, where the kernel keeps no figures. A thread that has ended was awake."""
    names = ['%d/%s' % (tid, 'schedstat' if any(schedstat) else 'syscall') for tid, schedstat, _ in rows]
    awake = []
    for (tid, schedstat, call), data in zip(rows, LiveTree().read_many('proc/%d/task' % pid, names)):
        if isinstance(data, int):
            now = None
        elif any(schedstat):
            now = parse_schedstat(data)
        else:
            syscall = parse_syscall(data)
            now = syscall and [syscall.nr] + list(syscall.args)
        if now is None or list(now) != (schedstat if any(schedstat) else call):
            awake.append(tid)
    return awake


def follow_chain(reader, pid, s, arch, most=32, depth=6):
    """From the blocked threads to the processes at the other ends, and on from those."""
    others, holders, seen = {}, {'holders': [], 'looked': 0, 'unseen': 0, 'cut': False}, set()
    threads, fds = list(s['threads'].values()), s['fds']
    waited = waited_targets(threads, fds, arch, s['words'], s['bits'])
    diag = same_net(s['ns'], s['reader_ns']) or not reader.live
    find_owners(reader, pid, s, arch)
    if diag and s['sockets']:
        read_diag(reader, s, waited)
    wants = holder_wants(waited, s['sockets'], s['unix']) | read_unix_listeners(reader, s, arch, diag)
    pids = first_others(s, threads, arch)
    for level in range(depth):
        found = find_ends(reader, 'holders:%d' % level, wants - seen, pid)
        seen |= wants
        for name in ('looked', 'unseen', 'cut'):
            holders[name] = max(holders[name], (found or {}).get(name, 0))
        rows = [tuple(row) for row in (found or {}).get('holders', ())]
        holders['holders'] += rows
        pids |= {row[0] for row in rows} - {pid}
        new = sorted(pids - set(others))[:most - len(others)]
        if not new:
            break
        wants = set()
        for other_pid in new:
            other = read_other(reader, other_pid)
            if other is not None:
                other = other._replace(fds=other_fds(reader, other, arch))
                own_ends(reader, s, other.fds)
                if diag:
                    sockets_of_other(reader, s, other)
                wants |= holder_wants(other.fds, s['sockets'], s['unix'])
                pids |= child_waited(reader, other, arch) | lock_awaited(s['locks'], other_pid) - {pid}
            others[other_pid] = other
    for other_pid in [pid for pid, other in others.items() if other is not None][:8]:
        others[other_pid] = others[other_pid]._replace(moved=has_moved(reader, others[other_pid]))
    s['others'], s['holders'] = others, holders
    if any(mount.fstype.startswith('fuse') and mount.fstype != 'fusectl' for mount in s['mounts'] or ()) and any(
            wait_of(thread, arch, fds).kind in ('fuse', 'disk', 'kernel') for thread in threads if thread.stat.state in 'DS'):
        find_fuse_servers(reader, s)
    find_lock_files(reader, s, arch)
    find_masters(reader, s, arch)


def find_owners(reader, pid, s, arch):
    """Lock owners that are no thread of this process: whose threads are they?"""
    waits = futex_calls(s['threads'], arch)
    s['tid_pids'] = {}
    if not waits or not s['words']:
        return
    for group in judge(waits, s['words'], s['words'], list(s['threads'])):
        tid = group.owner_ns_tid
        if tid and tid not in s['threads'] and tid not in s['tid_pids'] and len(s['tid_pids']) < 64:
            status = parsed(parse_status, reader.read('proc/%d/status' % tid))
            s['tid_pids'][tid] = status_number(status, 'Tgid') if status else (
                None if reader.gaps.get('proc/%d/status' % tid) in ('ENOENT', 'ESRCH') else False)


def find_fuse_servers(reader, s):
    """The processes that have /dev/fuse open: one of them serves the mount that does not answer."""
    found = find_ends(reader, 'fuse_servers', {'/dev/fuse'}, s['pid'])
    s['fuse_servers'] = [tuple(row) for row in (found or {}).get('holders', ())]
    for row in s['fuse_servers'][:8]:
        if row[0] not in s['others']:
            s['others'][row[0]] = read_other(reader, row[0])


def find_lock_files(reader, s, arch):
    """Who has a file lock. /proc/locks names the process that took it, and that is whoever holds it only for POSIX
    locks: an OFD lock has no number there, and a flock belongs to the open file, which may have been passed on to a
    child while its taker ended or closed it. The fdinfo of the one that has it has a line for it."""
    files, takers = set(), set()
    for thread in s['threads'].values():
        name = call_name(arch, thread.syscall)
        if name is None or call_kind(arch, name, thread.syscall.args) != 'file-lock':
            continue
        row = (s['fds'] or {}).get(blocked_fd(arch, name, thread.syscall.args))
        inode = (row.info or {}).get('ino') if row is not None else None
        held = [lock for lock in s['locks'] or [] if lock.inode == inode and not lock.blocked]
        if inode and row.target and not any(lock.type == 'POSIX' and lock.pid in (s['others'] or {}) for lock in held):
            files.add((row.target, inode))
            takers |= {lock.pid for lock in held if lock.pid and lock.pid > 0}
    if not files:
        return
    s['lockers'] = reader.ask('lockers', 'find_lockers', sorted(files), 1.0, [], min(takers, default=s['pid']))    # procdoc itself, too: flock FILE procdoc
    for pid in sorted({row[0] for row in locker_rows(s['lockers'])} - {s['pid']} - set(s['others']))[:4]:
        other = read_other(reader, pid)
        s['others'][pid] = other and other._replace(fds=other_fds(reader, other, arch))


MASTERS = ('/dev/ptmx', '/dev/pts/ptmx')


def pty_number(fd):
    """N of a descriptor of /dev/pts/N; None of any other."""
    found = re.match(r'/dev/pts/([0-9]{1,7})$', fd.target or '') if fd is not None else None
    return int(found.group(1)) if found else None


def find_masters(reader, s, arch):
    """Who has the master of a terminal that a thread cannot write to: all masters have one name, and
    fdinfo has the number. Two devpts mounts may both have that number: it is the likely one."""
    waits = [wait_of(thread, arch, s['fds']) for thread in s['threads'].values()]
    numbers = {pty_number((s['fds'] or {}).get(wait.fd)) for wait in waits if wait.kind == 'tty-write'} - {None}
    if not numbers:
        return
    found = find_ends(reader, 'masters', set(MASTERS), s['pid'])
    rows = [row for row in (found or {}).get('holders', ()) if len(row) == 5 and isinstance(row[0], int) and isinstance(row[1], int)]
    for pid, fd, _, comm, _ in rows[:256]:
        index = parsed(parse_fdinfo, reader.read('proc/%d/fdinfo/%d' % (pid, fd)), {}).get('tty_index')
        if index in numbers:
            s['masters'] += ((pid, fd, comm, index),)
            if pid not in s['others'] and len(s['others']) < 64:
                s['others'][pid] = read_other(reader, pid)


def locker_rows(found):
    """The holders of an answer of find_lockers, which in a damaged record may be anything."""
    rows = found.get('holders') if isinstance(found, dict) else None
    return [row for row in rows if isinstance(row, (list, tuple)) and len(row) == 5 and isinstance(row[0], int) and isinstance(row[1], int)
            and isinstance(row[4], (list, tuple))] if isinstance(rows, (list, tuple)) else []


def first_others(s, threads, arch):
    """Processes that are known by their number: awaited children, lock holders, the tracer."""
    pids = {child.pid for child in (s['children'] or ())[:64] if child.state != 'Z'} if any(
        call_name(arch, thread.syscall) in CHILD_CALLS for thread in threads) else set()
    if s['tracer'] and s['tracer'][1]:
        pids.add(s['tracer'][1])
    for row in s['locks'] or ():
        if row.blocked and row.pid == s['pid']:
            pids |= {other.pid for other in s['locks']
                     if other.ordinal == row.ordinal and not other.blocked and other.pid and other.pid > 0}
    pids |= {owner for owner in s['tid_pids'].values() if owner}
    return pids - {s['pid']}


CHILD_CALLS = frozenset('wait4 waitid waitpid vfork clone clone3'.split())


def has_moved(reader, other):
    """Whether a thread of another process ran since it was read: one of three that hand work on in turn is else seen in a ring."""
    rows = [(thread.tid, list(thread.schedstat or ())[:3], [thread.syscall.nr] + list(thread.syscall.args)) for thread in other.threads
            if thread.syscall is not None]
    return bool(rows and reader.ask('moved:%d' % other.pid, 'awake_since', other.pid, rows))


def child_waited(reader, other, arch):
    """Pids that another process waits for by wait4(pid), or by a wait for any child."""
    pids = set()
    for thread in other.threads:
        name = call_name(arch, thread.syscall)
        if name in ('wait4', 'waitpid', 'waitid'):
            child = signed32(thread.syscall.args[0]) if name != 'waitid' else -1
            data = reader.read('proc/%d/task/%d/children' % (other.pid, thread.stat.pid)) if child <= 0 else None
            pids.update([child] if child > 0 else [pid for pid in map(number, text(data or b'').split()) if pid][:8])
    return pids


def lock_awaited(locks, pid):
    """Pids that hold the file lock that a process waits for, by /proc/locks."""
    ordinals = {row.ordinal for row in locks or () if row.blocked and row.pid == pid}
    return {row.pid for row in locks or () if row.ordinal in ordinals and not row.blocked and row.pid and row.pid > 0}


def own_ends(reader, s, waited):
    """The target's own ends of the pipes that another process is blocked on: their fdinfo says which end it is."""
    pipes = {row.target for row in (waited or {}).values() if row.kind == 'pipe'}
    for fd, row in sorted((s['fds'] or {}).items()) if pipes else ():
        if row.target in pipes and row.info is None:
            info = parsed(parse_fdinfo, reader.read('%s/fdinfo/%d' % (s['base'], fd)))
            s['fds'][fd] = row._replace(info=info)


def sockets_of_other(reader, s, other):
    """The TCP rows, or the unix peers, of the sockets that another process is blocked on."""
    known = by_inode(s['sockets'])
    wanted = {row.inode for row in (other.fds or {}).values() if row.kind == 'socket' and row.inode}
    new = sorted(wanted - set(known) - set(s['unix'] or {}))
    if not new or s['sockets'] is None:
        return
    found = read_sockets(reader, 'proc/%d' % other.pid, set(new), ('tcp', 'tcp6'))
    for proto, rows in (found or {}).items():
        s['sockets'].setdefault(proto, []).extend(row for row in rows if row.inode not in known)
    left = sorted(set(new) - set(by_inode(s['sockets'])))
    if left:
        peers = dict(s['unix'] or {})
        peers.update(reader.ask('unix:%d' % other.pid, 'ask_unix', left) or {})
        s['unix'] = peers


def read_diag(reader, s, waited):
    """sock_diag: unix peers and queues, the backlog of listeners, TCP's own clocks."""
    rows = by_inode(s['sockets'])
    inodes = [row.inode for row in s['fds'].values() if row.kind == 'socket' and row.inode in rows]
    unix = [inode for inode in inodes if rows[inode].proto == 'unix']
    if unix:
        s['unix'] = reader.ask('unix', 'ask_unix', sorted(unix)[:4096])
    rows_waited = [rows[row.inode] for row in waited.values() if row.inode in rows and rows[row.inode].proto.startswith('tcp')]
    everybody = tables_tcp(s['sockets'])
    index = mirror_index(everybody)
    if any(rows[inode].state == 'LISTEN' and rows[inode].proto.startswith('tcp') for inode in inodes) or any(
            listener_behind(row, everybody, index) for row in rows_waited):
        s['listeners'] = reader.ask('listeners', 'ask_listeners')
    tcp = [(row.inode, row.local, row.remote) for row in rows_waited]
    if tcp:
        s['tcp_info'] = reader.ask('tcp_info', 'ask_tcp', sorted(tcp)[:256])


def read_unix_listeners(reader, s, arch, diag):
    """Link targets of the unix listeners that connect() waits for. A socket that is not connected has no
    peer that sock_diag knew: the name in the call's argument is all that tells."""
    names = set()
    for thread in s['threads'].values():
        if diag and call_name(arch, thread.syscall) == 'connect':
            details = describe(arch, s['bits'] or 64, 'connect', thread.syscall.args, as_words(s['words'] or {})) or {}
            address = details.get('address')
            if address is not None and address.family == 'unix' and address.host:
                names.add(address.host)
    found = reader.ask('unix_listeners', 'ask_unix_listeners', sorted(names)) if names else None
    if not isinstance(found, dict):
        return set()
    s['unix'] = dict(s['unix'] or {})
    s['unix'].update(found)
    return {wanted_link(inode) for inode in found if isinstance(inode, int)}


def read_guarded(reader, pid, s):
    """What may block on the target's mmap lock: last, in the guarded child."""
    base = s['base']
    s['argv'] = parsed(parse_cmdline, reader.read('proc/%d/cmdline' % pid))
    s['maps'] = parsed(parse_maps, reader.read(base + '/maps'))
    auxv = reader.read(base + '/auxv', 4096)
    s['bits'] = process_bits(auxv_bits(auxv) if auxv else None, s['maps'], s['threads'])
    if s['arch'] is None:
        s['arch'] = arch_from_maps(s['maps'])
    s['environ'] = parsed(parse_environ, reader.read(base + '/environ'))
    s['rollup'] = parsed(parse_smaps_rollup, reader.read(base + '/smaps_rollup'))
    s['names'] = reader.ask('users', 'user_names', pid, status_ids(s['status'], 'Uid'), status_ids(s['status'], 'Gid'))
    if find_python(s['maps'] or (), s['exe']):
        s['last_python'] = reader.ask('last_python', 'python_stacks', pid, sorted(s['threads']), 1.5, lock='mm:%d' % pid)
    if find_java(s['maps'] or ()):
        s['java'] = reader.ask('java', 'jvm_threads', pid, 1.5, lock='mm:%d' % pid)
    read_file_facts(reader, pid, s)


def read_file_facts(reader, pid, s):
    """Sizes of deleted files, and whether a deleted library was replaced: asked in the child, as
    a file system that does not answer hangs the asker. Those that are known to hang are not asked."""
    far = {row.id for row in s['mounts'] or () if can_hang(row.fstype)}
    deleted = [fd for fd, row in sorted((s['fds'] or {}).items()) if row.deleted and (row.info or {}).get('mnt_id') not in far]
    if deleted:
        s['fd_sizes'] = reader.ask('fd_sizes', 'deleted_sizes', pid, deleted[:256])
    libraries = sorted({row.path[:-10] for row in s['maps'] or () if row.path.endswith(' (deleted)') and 'x' in row.perms})
    if libraries:
        s['replaced'] = reader.ask('replaced', 'replaced_paths', pid, libraries[:64])


def deleted_sizes(pid, fds):
    """In the guarded child: {fd: bytes} of deleted regular files; a file that has a name yet is left out."""
    sizes = {}
    for fd in fds:
        try:
            found = os.stat('/proc/%d/fd/%d' % (pid, fd))
        except OSError:
            continue
        if found.st_nlink == 0 and stat_module().S_ISREG(found.st_mode):
            sizes[fd] = found.st_size
    return sizes


def replaced_paths(pid, paths):
    """In the guarded child: those of the deleted paths at which there is a file again, as the target sees it."""
    there = []
    for path in paths:
        try:
            os.stat('/proc/%d/root%s' % (pid, path))
            there.append(path)
        except OSError:
            continue
    return there


def status_ids(status, name):
    """The four ids of a Uid: or Gid: line."""
    return [value for value in map(number, (status or {}).get(name, '').split()) if value is not None][:4]


def user_names(pid, uids, gids):
    """In the guarded child: {'u0': 'root', 'g0': 'root'} from the target's own files,
    else this machine's. NSS is not asked: it may go to a directory server."""
    names = {}
    for folder in ('/proc/%d/root/etc/' % pid, '/etc/'):
        for letter, name, ids in (('u', 'passwd', uids), ('g', 'group', gids)):
            try:
                with open(folder + name, 'rb') as lines:
                    rows = lines.read(1 << 22).split(b'\n')
            except OSError:
                continue
            wanted = {str(value).encode(): value for value in ids}
            for row in rows:
                words = row.split(b':')
                if len(words) > 2 and words[2] in wanted:
                    names.setdefault('%s%d' % (letter, wanted[words[2]]), text(words[0]))
    return names


# ROOM LINKS ===================================================================
# Pure joins over what was read: what a thread waits in, which descriptor, who holds
# the other end, who owns the lock, what moved. link(snapshot) -> Facts, which the
# rules and the report share. To add a join: one function, and a field of Facts.


class View(NamedTuple):
    """One thread as the rules and the report see it. Deltas are over the watch, None
    where there was none; moved: it ran at all during the watch."""
    tid: int
    name: str
    state: str
    wait: Wait
    last_wait: Optional[Wait]
    strip: str
    cpu_pct: Optional[float]
    user_pct: Optional[float]
    system_pct: Optional[float]
    voluntary: Optional[int]
    involuntary: Optional[int]
    moved: Optional[bool]
    run_delay_pct: Optional[float]
    idle_s: Optional[float]
    helper: bool
    text: str
    thread: Thread
    majflt: Optional[int] = None

    @property
    def kind(self):
        """The wait kind at the last look at which it was seen, so that both agree or not."""
        return self.wait.kind

    @property
    def steady(self):
        """In the same wait at both ends of the watch and never run in between."""
        if self.moved:
            return False
        return self.last_wait is None or self.last_wait.kind == self.wait.kind


class Runtime(NamedTuple):
    """What kind of program it is: which threads are its machinery, what to ask it with."""
    name: str
    label: str


class Facts:
    """The snapshot and all that follows from it. Attributes are set once by link()."""

    def __init__(self, snap):
        self.snap = snap
        self.pid = snap.pid
        self.arch = call_arch(snap.arch, snap.bits)
        self.watched_s = snap.watched_ms / 1000.0
        self.gaps = snap.gaps or {}
        self.lock_groups, self.cycles, self.chains = [], [], []
        self.python, self.java, self.frames, self.first_frames = None, None, {}, None
        self.python_groups, self.java_groups, self.waits, self.group_of = [], [], {}, {}
        self.tasks = ()

    def source(self, name, tid=None):
        """'45678/task/45680/stat' as evidence names it."""
        if tid is None:
            return '%d/%s' % (self.pid, name)
        return '%d/task/%s/%s' % (self.pid, tid, name)

    def view(self, tid):
        """The View of a tid, or None."""
        return self.by_tid.get(tid)

    def gap(self, name):
        """Why a file of the process was not read, or None."""
        return self.gaps.get('proc/%d/%s' % (self.pid, name))


# --- the runtime

RUNTIMES = (
    # name, label, words of a mapped library or executable, comm
    ('jvm', 'JVM', ('libjvm.so',), ('java',)),
    ('node', 'Node.js', ('/node', '/nodejs', 'libnode.so'), ('node',)),
    ('dotnet', '.NET', ('libcoreclr.so',), ('dotnet',)),
    ('ruby', 'Ruby', ('libruby', '/ruby'), ('ruby',)),
    ('php', 'PHP', ('/php-fpm', '/php'), ('php-fpm',)),
    ('perl', 'Perl', ('/perl',), ('perl',)),
    ('beam', 'Erlang/Elixir BEAM', ('/beam.smp',), ('beam.smp',)),
    ('nginx', 'nginx', ('/nginx',), ('nginx',)),
    ('postgres', 'PostgreSQL', ('/postgres',), ('postgres', 'postmaster')),
    ('redis', 'Redis', ('/redis-server', '/valkey-server', '/redis-check'), ('redis-server',)),
    ('mysql', 'MySQL/MariaDB', ('/mysqld', '/mariadbd'), ('mysqld', 'mariadbd')),
    ('mongod', 'MongoDB', ('/mongod', '/mongos'), ('mongod',)),
    ('haproxy', 'HAProxy', ('/haproxy',), ('haproxy',)),
    ('apache', 'Apache httpd', ('/apache2', '/httpd'), ('apache2', 'httpd')),
    ('shell', 'shell', ('/bash', '/dash', '/zsh', '/busybox', '/ash', '/ksh', '/fish'), ('sh', 'bash', 'dash', 'zsh', 'ash')),
    ('init', 'init', ('/systemd', '/tini', '/dumb-init', '/docker-init', '/s6-svscan'), ('systemd', 'tini', 'dumb-init')),
)

HELPERS = (
    # runtime, pattern of thread names that are its machinery: they do not outvote the thread that works
    ('jvm', r'(VM Thread|VM Periodic|GC Thread|G1 |ParGC|ConcGC|Concurrent|C1 Comp|C2 Comp|Sweeper|Reference Hand|Finalizer'
            r'|Signal Dispa|Service Thread|Monitor Defl|Common-Clean|Notification|Attach Listen|process reaper|JFR |ZWorker'
            r'|ZDirector|ZDriver|ZStat|Z[A-Z]|Shenandoah|StringDedup|DestroyJavaVM|surefire-|RMI Reaper|GraalVM|JVMCI'
            r'|Cleaner-|Read-Poller|Write-Poller|Unblocker|VirtualThread)'),
    ('node', r'.*'), ('redis', r'(bio_|jemalloc|io_thd_)'), ('dotnet', r'\.NET (SynchManager|EventPipe|SigHandler|Finalizer|Tiered|Server GC|BGC)'),
    ('mongod', r'(ftdc|WTJourn|waitMajor|TTLMon|startPer|SignalH|abortEx)'),
    ('', r'(iou-wrk-|iou-sqp-|gmain$|gdbus$|dconf worker|jemalloc_bg|pool-spawner|grpc_global|signal_handler|event_engine)'),
)


def runtime_of(snap):
    """-> Runtime: by mapped libraries and the executable, comm last."""
    if snap.stat is not None and snap.stat.is_kernel_thread:
        return Runtime('kernel', 'kernel thread')
    if find_python(snap.maps or (), snap.exe or ''):
        return Runtime('python', 'CPython')
    exe = (snap.exe or '').replace(' (deleted)', '')
    base = '/' + exe.rpartition('/')[2]
    paths = {row.path for row in snap.maps or () if 'x' in row.perms}
    for name, label, words, comms in RUNTIMES:
        for word in words:
            hit = base.startswith(word) if word.startswith('/') else any('/' + word in path for path in paths)
            if hit and (word != '/php' or base.startswith('/php')):
                return Runtime(name, label)
    comm = snap.stat.comm if snap.stat is not None else ''
    if not exe:
        if comm.startswith('python'):
            return Runtime('python', 'CPython')
        for name, label, words, comms in RUNTIMES:
            if comm in comms:
                return Runtime(name, label)
    if any('musl' in path for path in paths):
        return Runtime('native', 'native (musl)')
    return Runtime('native', 'native')


def helper_test(runtime, pid):
    """-> test of a Thread: is it the runtime's machinery, not the program's work?"""
    patterns = [re.compile(pattern) for name, pattern in HELPERS if name in (runtime.name, '')]

    def test(thread):
        if thread.stat.is_io_worker:
            return True
        if runtime.name in ('node', 'redis') and thread.tid == pid:
            return False
        return any(pattern.match(thread.stat.comm) for pattern in patterns)
    return test


# --- threads

def strip_of(thread):
    """The states that the looks saw, one letter a look: SSSSSSSSSS is stuck or idle, RRRRRRRRRR busy."""
    return thread.stat.state + ''.join(look.state for look in thread.looks)


def percent(after, before, clk_tck, seconds):
    """Ticks over the watch as a share of one CPU."""
    if after is None or before is None or seconds <= 0:
        return None
    return max(0.0, 100.0 * (after - before) / clk_tck / seconds)


def difference(after, before):
    """after - before, None where one is unknown; a counter that went back is unknown."""
    if after is None or before is None or after < before:
        return None
    return after - before


def view_of(thread, snap, arch, helper):
    """Thread -> View."""
    wait = wait_of(thread, arch, snap.fds)
    last_wait = None
    if thread.last_stat is not None and (thread.last_syscall is not None or thread.last_wchan not in (None, '0')):
        last_wait = wait_of(thread, arch, snap.fds, last=True)
    seconds = snap.watched_ms / 1000.0
    first, last = thread.stat, thread.last_stat
    user = percent(last and last.utime, first.utime, snap.clk_tck, seconds) if last else None
    system = percent(last and last.stime, first.stime, snap.clk_tck, seconds) if last else None
    voluntary = difference(status_number(thread.last_status, 'voluntary_ctxt_switches'),
                           status_number(thread.status, 'voluntary_ctxt_switches'))
    involuntary = difference(status_number(thread.last_status, 'nonvoluntary_ctxt_switches'),
                             status_number(thread.status, 'nonvoluntary_ctxt_switches'))
    delay = None
    if thread.schedstat and thread.last_schedstat and seconds > 0:
        delay = difference(thread.last_schedstat[1], thread.schedstat[1])
        delay = None if delay is None else delay / 1e7 / seconds
    idle = None
    clock = snap.cpu_clocks.get(first.processor) if snap.cpu_clocks else None if snap.live else snap.now_clock_ms
    if thread.exec_start_ms and clock and first.state != 'R':
        idle = (clock - thread.exec_start_ms) / 1000.0
        idle = idle if 0 <= idle < 1e9 else None
    return View(thread.tid, first.comm, (last or first).state, wait, last_wait, strip_of(thread),
                None if user is None else user + (system or 0), user, system, voluntary, involuntary,
                moved_of(thread, voluntary, involuntary), delay, idle, helper(thread), '', thread,
                difference(last.majflt if last else None, first.majflt))


def moved_of(thread, voluntary, involuntary):
    """Did it run between the first and the last look? None: nobody looked twice."""
    last = thread.last_stat
    if last is None:
        return None
    if (last.ticks or 0) > (thread.stat.ticks or 0) or voluntary or involuntary:
        return True
    if thread.schedstat and thread.last_schedstat and len(thread.schedstat) > 2 and len(thread.last_schedstat) > 2:
        if thread.last_schedstat[2] != thread.schedstat[2] or thread.last_schedstat[0] != thread.schedstat[0]:
            return True
    first, final = thread.syscall, thread.last_syscall
    if first is not None and final is not None and first != final:
        return True
    return False


# --- descriptors as things

def socket_text(row):
    """'tcp 10.0.1.5:50123 -> 10.0.99.1:5432 ESTABLISHED, recv-q 0'"""
    if row.proto == 'unix':
        name = row.path or row.local or ''
        queue = '' if not row.recv_q else ', %s waiting to be accepted' % row.recv_q if row.state == 'LISTEN' else ', recv-q %s' % row.recv_q
        return 'unix %s%s %s%s' % (row.type or '', ' ' + name if name else '', row.state, queue)
    ends = '%s %s' % (row.proto, row.local)
    if row.state == 'LISTEN':
        return '%s LISTEN, %s waiting to be accepted' % (ends, row.recv_q)
    if row.remote and not row.remote.endswith(':0') and not row.remote.endswith(':*'):
        ends += ' -> ' + row.remote
    if row.recv_q is None:
        return '%s %s' % (ends, row.state)
    queues = ', recv-q %s' % row.recv_q + (', send-q %s' % row.send_q if row.send_q else '')
    return '%s %s%s' % (ends, row.state, queues)


def fd_text(f, number_of_fd):
    """A descriptor as a person would say it."""
    row = (f.snap.fds or {}).get(number_of_fd)
    if row is None:
        return 'fd %d' % number_of_fd
    if row.socket is not None:
        return 'fd %d: %s' % (number_of_fd, socket_text(row.socket))
    if row.kind == 'eventpoll':
        members = (row.info or {}).get('epoll')
        few = ': ' + ', '.join(fd_text(f, member['tfd'])[3:] for member in members if member['tfd'] != number_of_fd) if members and len(members) <= 3 else ''
        return 'fd %d: epoll%s%s' % (number_of_fd, ', watching %d fds' % len(members) if members is not None else '', few)
    timer = (row.info or {}).get('timer') or {}
    if disarmed(row):
        return 'fd %d: timerfd, disarmed: never fires' % number_of_fd
    if row.kind == 'timerfd' and timer.get('left_s') is not None:
        return 'fd %d: timerfd, fires in %.1f s' % (number_of_fd, timer['left_s'])
    return 'fd %d: %s' % (number_of_fd, row.target if row.target is not None else 'unknown')


def disarmed(fd):
    """A timerfd that no time is set for, and that has not fired either: nothing comes from it until somebody sets it."""
    timer = (fd.info or {}).get('timer') or {} if fd is not None and fd.kind == 'timerfd' else {}
    return timer.get('left_s') == 0 and timer.get('ticks') == 0 and not timer.get('interval_s')


def seconds_text(seconds):
    """'1.5 s', 'none' for no end."""
    if seconds is None:
        return 'none'
    return '%.3g s' % seconds if seconds < 1000 else '%.0f s' % seconds


def time_left(f, details):
    """Seconds until an absolute end, by the clock that it is of; None where that is not known."""
    until, clock = details.get('until_s'), details.get('clock')
    now = f.snap.taken_at if clock == 'realtime' else ((f.snap.host or {}).get('uptime') or (None,))[0] if clock == 'monotonic' else None
    return max(0.0, until - now) if until is not None and isinstance(now, (int, float)) else None


def call_text(f, view):
    """The blocked call with its arguments become things."""
    call = view.wait.call
    if call is None:
        return ''
    if call.name is None:
        return call.text
    details = call.details or {}
    if call.name in POLLS and details.get('fds') is not None:
        shown = ', '.join(fd_text(f, row[0])[3:] for row in details['fds'][:3])
        more = ', ...' if len(details['fds']) > 3 else ''
        count = '%d' % len(details['fds'])
        if details.get('truncated') and call.name.startswith(('poll', 'ppoll')):
            count = 'first %d of %d' % (MOST_FDS, call.args[1] & 0xffffffff)
        return '%s(%s fds%s%s%s, timeout %s)' % (call.name, count, ': ' if shown else '', shown, more,
                                                 seconds_text(details.get('timeout_s')))
    if call.name in EPOLLS and call.fd is not None:
        return '%s(%s)' % (call.name, fd_text(f, call.fd))
    left = time_left(f, details)
    if left is not None and call.name.startswith('clock_nanosleep'):
        return '%s(ends in %s)' % (call.name, seconds_text(left))
    if details.get('timeout_s') is not None and view.wait.kind == 'sleep':
        return '%s(%s)' % (call.name, seconds_text(details['timeout_s']))
    if details.get('address') and call.fd is not None:
        return '%s(fd %d -> %s)' % (call.name, call.fd, details['address'].text)
    if details.get('path'):
        start = '%s, ' % fd_text(f, call.fd) if call.fd is not None and not details['path'].startswith('/') else ''
        return '%s(%s"%s")' % (call.name, start, details['path'])
    if call.fd is not None and call.fd in (f.snap.fds or {}):
        rest = call.text[len(call.name) + 1:-1].partition(', ')[2] if call.name in ('fcntl', 'fcntl64', 'ioctl') else ''
        return '%s(%s%s)' % (call.name, fd_text(f, call.fd), ', ' + rest if rest else '')
    if call.name in ('wait4', 'waitpid') and call.args:
        pid = signed32(call.args[0])
        return '%s(%s)' % (call.name, 'child %d' % pid if pid > 0 else 'any child')
    if details.get('sems'):
        return '%s(id %d: %s)' % (call.name, signed32(call.args[0]), ', '.join('semaphore %d %+d' % (row.num, row.op) for row in details['sems'][:4]))
    return call.text


# --- link: everything joined

def link(snap):
    """Snapshot -> Facts."""
    f = Facts(snap)
    snap = f.snap = with_sockets(snap)
    f.runtime = runtime_of(snap)
    f.words = as_words(snap.words or {})
    helper = helper_test(f.runtime, snap.pid)
    f.views = [view_of(thread, snap, f.arch, helper) for thread in (snap.threads or {}).values()]
    for step in (with_details, guessed, with_text, remote_file):
        f.views = [stepped(f, step, view) for view in f.views]
    index_views(f)
    f.fd_groups = fd_groups(list((snap.fds or {}).values()))
    for join in (link_python, link_java, link_locks):
        stepped(f, join, None)
    return f


def stepped(f, step, view):
    """step(f, view), or step(f) where view is None. A bug in it costs this join of this thread, and is said under NOT
    READ: the rest of the report stands."""
    try:
        return step(f) if view is None else step(f, view)
    except Exception as error:
        if os.environ.get('PROCDOC_DEBUG'):
            raise
        f.gaps['join ' + step.__name__] = 'BUG %s: %s' % (type(error).__name__, str(error)[:80])
        return view


def with_text(f, view):
    """The blocked call in words."""
    return view._replace(text=call_text(f, view))


def index_views(f):
    """The threads by number, those that live, those that do the program's work, and those that do the same."""
    f.by_tid = {view.tid: view for view in f.views}
    f.living = [view for view in f.views if view.wait.kind != 'exit']
    f.workers = [view for view in f.living if not view.helper] or f.living
    f.groups = group_views(f.views)


def with_sockets(snap):
    """Descriptors joined with their socket rows and sock_diag's words."""
    if not snap.fds:
        return snap
    rows = add_diag(by_inode(snap.sockets), snap.unix, pairs_of(snap.listeners))
    fds = {fd: row._replace(socket=rows.get(row.inode)) if row.kind == 'socket' else row
           for fd, row in snap.fds.items()}
    return snap._replace(fds=fds)


def pairs_of(listeners):
    """sock_diag's (queued, backlog) pairs, of which a damaged record may hold anything."""
    if not isinstance(listeners, dict):
        return {}
    return {inode: tuple(pair) for inode, pair in listeners.items()
            if isinstance(pair, (list, tuple)) and len(pair) == 2}


def with_details(f, view):
    """What the target's memory tells of the call's arguments."""
    call = view.wait.call
    if call is None or call.name is None:
        return view
    details = describe(f.arch, f.snap.bits or 64, call.name, call.args, f.words)
    wait = view.wait
    if details and details.get('name') not in (None, call.name):        # what i386's socketcall or ipc hides
        name, args = details['name'], details['args']
        call = Call(call.nr, name, args, '%s(%s)' % (name, format_args(f.arch, name, args)), blocked_fd(f.arch, name, args))
        wait = call_wait(f.arch, call, wait.kind if wait.kind != 'unknown' else '', wait.name, view.state, f.snap.fds)
    drop_unused(f, call, details)
    if details is None and wait.kind != 'poll':
        return view if wait is view.wait else view._replace(wait=wait)
    call = call._replace(details=details, fds=tuple((details or {}).get('fds') or ()),
                         timeout_s=(details or {}).get('timeout_s'))
    return view._replace(wait=poll_kind(f, wait._replace(call=call), f.snap.fds))


def drop_unused(f, call, details):
    """What lies behind a select's set of 1024 bits is no set: of the higher numbers only those of open files can be meant,
    as the kernel refuses any other."""
    if f.snap.fds and call.name not in ('poll', 'ppoll', 'ppoll_time64') and (details or {}).get('fds'):
        details['fds'] = [row for row in details['fds'] if row[0] < 1024 or row[0] in f.snap.fds]


AMBIGUOUS = {
    # wait channel: kinds of descriptors that a thread may be asleep on in it
    'wait_woken': ('tcp', 'tty', 'inotify'), 'sk_wait_data': ('tcp',), '__skb_wait_for_more_packets': ('udp', 'unix', 'netlink', 'packet', 'raw'),
    '__skb_recv_datagram': ('udp', 'unix', 'netlink', 'packet', 'raw'), 'do_wait_intr_irq': ('eventfd', 'timerfd')}


def guessed(f, view):
    """Where the call may not be read (Yama, a missing capability) and the wait channel has several causes: the
    one descriptor that fits. Two that fit are no answer."""
    wait = view.wait
    if wait.kind != 'unknown' or wait.call is not None:
        return view
    if awaits_lock(f):
        return view._replace(wait=wait._replace(kind='file-lock', by='locks', sure=True))
    stem = wchan_stem(view.thread.wchan) if view.thread.wchan else ''
    if stem not in AMBIGUOUS:
        return view
    fits = [fd for fd in (f.snap.fds or {}).values() if fits_channel(fd, AMBIGUOUS[stem])]
    if len({fd.inode or fd.fd for fd in fits}) != 1:
        return view
    fd = fits[0]
    if fd.socket is None:
        kind = FD_KIND_WAIT[fd.kind][0]
    else:
        later = by_inode(f.snap.last_sockets).get(fd.inode) or fd.socket
        kind = {'LISTEN': 'accept', 'SYN_SENT': 'connect'}.get(fd.socket.state, 'socket-write' if later.send_q else 'socket-read')
    return view._replace(wait=wait._replace(kind=kind, by='wchan', fd=fd.fd))


def awaits_lock(f):
    """/proc/locks has a waiter's line for this process, and only one thread of it sleeps where cannot be read. That file
    is open to everybody, but it names processes: of several such threads it is not known which."""
    if not any(lock.blocked and lock.pid == f.pid for lock in f.snap.locks or ()):
        return False
    return sum(1 for view in f.views if view.wait.kind == 'unknown' and view.wait.call is None) == 1


def fits_channel(fd, kinds):
    """May a thread be asleep on this descriptor in such a wait channel?"""
    if fd.socket is None:
        return fd.kind in kinds
    return fd.socket.proto.rstrip('6') in kinds and not (fd.socket.proto.startswith('tcp') and fd.socket.state == 'LISTEN')


REMOTE_KINDS = {'nfs': 'nfs', 'nfs4': 'nfs', 'cifs': 'nfs', 'smb3': 'nfs', 'smbfs': 'nfs', 'ceph': 'nfs', '9p': 'nfs', 'afs': 'nfs',
                'fuse': 'fuse', 'fuseblk': 'fuse', 'virtiofs': 'fuse'}


def remote_kind(mount):
    """'fuse', 'nfs' or '' of a Mount."""
    if mount is None:
        return ''
    return 'fuse' if mount.fstype.startswith('fuse.') else REMOTE_KINDS.get(mount.fstype, '')


def remote_file(f, view):
    """A page of a file on FUSE or NFS shows as a plain disk wait in D: its mount tells. In a page fault
    the address is not known: a file of such a mount that is mapped is the likely one."""
    wait = view.wait
    if wait.kind not in ('disk', 'kernel') or view.state != 'D':
        return view
    fd = (f.snap.fds or {}).get(wait.fd) if wait.fd is not None else None
    path = (wait.call.details or {}).get('path') if wait.call is not None else None
    mount = fd_mount(f, fd)
    if mount is None and path and path.startswith('/'):
        mount = mount_of(path, f.snap.mounts or [])
    kind = remote_kind(mount)
    if kind:
        return view._replace(wait=wait._replace(kind=kind))
    kind = stack_kind(view.thread.stack)
    if kind:
        return view._replace(wait=wait._replace(kind=kind, by='stack'))
    if f.gaps.get('proc/%d/cmdline' % f.pid) == 'TIMEOUT' and wait.call is not None and call_kind(f.arch, wait.call.name, wait.call.args) == 'memory':
        return view._replace(wait=wait._replace(kind='memory'))
    if wait.call is None and wait.kind == 'disk':
        for row in f.snap.maps or ():
            kind = remote_kind(mount_of(row.path, f.snap.mounts or [])) if row.path.startswith('/') else ''
            if kind:
                return view._replace(wait=wait._replace(kind=kind, sure=False))
    return view


STACK_STEMS = (('fuse_', 'fuse'), ('nfs_', 'nfs'), ('nfs4_', 'nfs'), ('rpc_', 'nfs'), ('cifs_', 'nfs'), ('smb2_', 'nfs'), ('ceph_', 'nfs'),
               ('p9_', 'nfs'), ('v9fs_', 'nfs'))


def stack_kind(stack):
    """The file system whose functions are on a kernel stack: 'fuse', 'nfs' or ''."""
    for name in stack or ():
        for stem, kind in STACK_STEMS:
            if name.startswith(stem):
                return kind
    return ''


def fd_mount(f, fd):
    """The mount that a descriptor is on: by mnt_id of fdinfo, else by path."""
    if fd is None or not fd.target or fd.kind not in FILE_KINDS:
        return None
    return mount_of(fd.target, f.snap.mounts or [], (fd.info or {}).get('mnt_id'))


def poll_kind(f, wait, fds):
    """A poll is what its members make of it: of one socket it is a wait for that socket,
    of none a sleep or a pause. Unknown members leave it a poll."""
    call = wait.call
    if wait.kind != 'poll' or call.details is None or call.details.get('fds') is None:
        return nothing_polled(wait)
    members = call.details['fds']
    cut = call.details.get('truncated')
    if not members and not cut:
        return wait._replace(kind='sleep' if call.timeout_s is not None else 'signal')
    if len(members) != 1 or cut and call.name.startswith(('poll', 'ppoll')):
        return wait
    fd, events = members[0][:2]
    row = (fds or {}).get(fd)
    if row is None:
        return wait
    writes = 'out' in events and 'in' not in events
    if row.kind == 'socket':
        state = row.socket.state if row.socket is not None else ''
        kind = ('accept' if state == 'LISTEN' else 'connect' if state == 'SYN_SENT'
                else 'socket-write' if writes else 'socket-read')
    else:
        kind = FD_KIND_WAIT.get(row.kind, ('poll', 'poll'))[1 if writes else 0]
    return wait._replace(kind=kind, fd=fd)


def nothing_polled(wait):
    """poll(NULL, 0) needs no memory to be read: aarch64's pause() is one."""
    call = wait.call
    if wait.kind == 'poll' and call is not None and call.name in ('poll', 'ppoll', 'ppoll_time64') and call.args:
        if signed32(call.args[1]) == 0:
            endless = call.args[2] == 0 if call.name != 'poll' else signed32(call.args[2]) < 0
            return wait._replace(kind='signal' if endless else 'sleep')
    if wait.kind == 'poll' and call is not None and call.name in ('select', 'pselect6') and call.args[:4] and not any(call.args[:4]):
        return wait._replace(kind='sleep' if call.args[4] else 'signal')
    return wait


class Group(NamedTuple):
    """Threads that do the same; key is what they have in common."""
    key: tuple
    views: tuple


def group_key(view):
    """Same name stem is not asked for: what counts is what they wait in."""
    wait = view.wait
    if wait.kind == 'futex' and wait.call is not None and wait.call.args:
        return ('futex', wait.call.args[0], view.state)
    if wait.call is not None and wait.call.name:
        return (wait.kind, wait.call.name, wait.fd, view.state)
    return (wait.kind, wait.name, None, view.state)


def group_views(views, locks=()):
    """-> list of Group: odd ones out and busy ones first, big parked groups last. locks: {tid: LockGroup} where the runtime
    knows the lock: a JVM parks each of its waiters on a word of its own."""
    table = {}
    for view in views:
        key = ('lock', locks[view.tid].uaddr, view.state) if view.tid in locks else group_key(view)
        table.setdefault(key, []).append(view)
    groups = [Group(key, tuple(rows)) for key, rows in table.items()]

    def order(group):
        busy = max([view.cpu_pct or 0.0 for view in group.views])
        return (group.key[0] not in ('running', 'disk', 'nfs', 'fuse', 'memory', 'kernel'), -busy, len(group.views), group.views[0].tid)
    return sorted(groups, key=order)


# --- locks

def futex_waits(f, last=False):
    """FutexWait records of the threads blocked in futex at both ends of the watch."""
    waits, awake = [], set(f.snap.awake or ())
    for view in f.views:
        thread = view.thread
        if view.tid in awake:
            continue
        if thread.last_syscall is not None and thread.last_syscall != thread.syscall:
            continue
        if thread.last_stat is None and f.watched_s:
            continue
        wait = futex_call(f.arch, view.tid, thread.syscall, call_name(f.arch, thread.syscall))
        if wait is not None:
            waits.append(wait)
    return waits


def ns_tids(snap):
    """{tid in the innermost PID namespace: tid}, None where the reader is in the same."""
    table, differs = {}, False
    for tid, thread in (snap.threads or {}).items():
        words = (thread.status or {}).get('NSpid', '').split()
        inner = number(words[-1]) if words else None
        if inner is not None:
            table[inner] = tid
            differs = differs or inner != tid
    return table if differs else None


def link_locks(f):
    """Lock groups with their owners, and the wait-for graph over them."""
    snap = f.snap
    waits, f.group_of = futex_waits(f), {}
    f.waits = {wait.tid: wait for wait in waits}
    if not waits and not f.java_groups:
        return
    words, again = snap.words or {}, snap.last_words if snap.last_words is not None else snap.words or {}
    stacks = {tid: thread.syscall.sp for tid, thread in snap.threads.items() if thread.syscall is not None and thread.syscall.sp}
    living = [view.tid for view in f.living] + [tid for tid, pid in (snap.tid_pids or {}).items() if pid == snap.pid]    # born since
    ancestors = tuple(stat.pid for stat, _ in snap.parents)
    groups = judge(waits, words, again, living, ns_tids(snap), snap.maps, stacks, ancestors, elsewhere_of(snap))
    groups = [join_by_value(f, group) for group in groups]
    told = {tid for group in f.python_groups + f.java_groups for tid in group.waiters}
    groups = [group._replace(waiters=tuple(tid for tid in group.waiters if tid not in told)) for group in groups]
    f.lock_groups = f.python_groups + f.java_groups + [group for group in groups if group.waiters]
    f.cycles, f.chains = wait_graph(f.lock_groups)
    f.group_of = {tid: group for group in f.lock_groups for tid in group.waiters}
    told = {tid: group for group in f.java_groups for tid in group.waiters}
    if told:
        f.groups = group_views(f.views, told)


def join_by_value(f, group):
    """Where memory was not read: a shared FUTEX_WAIT for a value that is a live tid is pthread_join's. Enough for
    words, not for an edge of the wait-for graph."""
    wait = f.waits[group.waiters[0]]
    if group.kind == 'unknown futex' and not f.snap.words and not wait.private and wait.val in f.by_tid and wait.val not in group.waiters:
        return group._replace(kind='join', owner_tid=None, note='of thread %d' % wait.val)
    return group


def elsewhere_of(snap):
    """-> callable: which process has a thread of that number (None nobody, False cannot tell)."""
    found = snap.tid_pids or {}

    def elsewhere(tid):
        return found.get(tid, False)
    return elsewhere


PYTHON_LOCKS = {'Lock': 'threading.Lock', 'RLock': 'threading.RLock', 'Thread.join': 'join', 'import lock': 'import lock'}


def python_report(f):
    """The latest reading of the interpreter that brought threads, or None."""
    for report in (f.snap.last_python, f.snap.python):
        if isinstance(report, dict) and isinstance(report.get('threads'), (list, tuple)):
            return report
    return None


def frames_of(report):
    """{tid: ((function, file, line)...)}, innermost first."""
    found = {}
    for row in (report or {}).get('threads') or ():
        if isinstance(row, dict) and isinstance(row.get('tid'), int):
            found[row['tid']] = tuple(tuple(frame[:3]) for frame in row.get('frames') or () if len(frame) >= 3)
    return found


def link_python(f):
    """Python's frames by tid, and its locks in the same shape as those of C."""
    f.python = python_report(f)
    f.frames = frames_of(f.python)
    f.first_frames = frames_of(f.snap.python) if isinstance(f.snap.python, dict) and f.snap.last_python else None
    f.views = [view._replace(helper=True) if python_helper(f.frames.get(view.tid)) else view for view in f.views]
    index_views(f)
    f.python_groups = []
    table = collections.OrderedDict()
    for row in (f.python or {}).get('threads') or ():
        for lock in row.get('locks') or () if isinstance(row, dict) else ():
            if isinstance(lock, dict) and lock.get('tid') in f.by_tid and lock.get('address'):
                table.setdefault((lock['address'], lock.get('kind')), []).append(lock)
    for (address, kind), locks in table.items():
        f.python_groups.append(python_group(f, address, kind, locks))
    f.tasks = link_tasks(asyncio_report(f.python), asyncio_report(f.snap.python) if f.python is f.snap.last_python else None)


TaskGroup = NamedTuple('TaskGroup', [('frames', tuple), ('state', str), ('awaits', str), ('names', tuple), ('awaited', tuple),
                                     ('still', Optional[int])])     # of these, how many stood there at the first look; None: not known


def asyncio_report(report):
    """What pending_tasks said, or None."""
    found = report.get('asyncio') if isinstance(report, dict) else None
    return found if isinstance(found, dict) and isinstance(found.get('groups'), (list, tuple)) else None


def link_tasks(last, first):
    """The TaskGroups of the latest reading. The same task with the same stack at the first did not move, or came back."""
    before = {(address, frames) for frames, _, tasks in task_rows(first) for address, _, _ in tasks}
    return tuple(TaskGroup(frames, str(group.get('state')), str(group.get('awaits') or ''), tuple(str(name) for _, name, _ in tasks),
                           tuple(str(awaited) for _, _, awaited in tasks),
                           sum(1 for address, _, _ in tasks if (address, frames) in before) if first is not None else None)
                 for frames, group, tasks in task_rows(last))


def task_rows(report):
    """[(frames, group, tasks)] of an answer, which a capture may have brought: what is not of this form is not there."""
    for group in (report or {}).get('groups') or ():
        if isinstance(group, dict) and isinstance(group.get('frames'), (list, tuple)) and isinstance(group.get('tasks'), (list, tuple)):
            frames = tuple((str(frame[0]), str(frame[1]), frame[2]) for frame in group['frames']
                           if isinstance(frame, (list, tuple)) and len(frame) == 3 and isinstance(frame[2], int))
            tasks = [tuple(task) for task in group['tasks'] if isinstance(task, (list, tuple)) and len(task) == 3 and isinstance(task[0], int)]
            if tasks:
                yield frames, group, tasks


PYTHON_HELPERS = (('multiprocessing/pool.py', '_handle_'), ('multiprocessing/queues.py', '_feed'), ('concurrent/futures/process.py', 'run'),
                  ('multiprocessing/resource_sharer.py', '_serve'), ('logging/handlers.py', '_monitor'), ('multiprocessing/managers.py', 'accepter'))


def python_helper(frames):
    """A thread of the standard library's own: the pool's that collects results, a queue's feeder."""
    return any(file.endswith(end) and function.startswith(name) for function, file, _ in frames or () for end, name in PYTHON_HELPERS
               if isinstance(file, str) and isinstance(function, str))


def python_group(f, address, kind, locks):
    """One Python lock with its waiters -> LockGroup. A Lock's owner was found on the value stack of
    its 'with': likely, not proven; an RLock records it."""
    waiters = tuple(lock['tid'] for lock in locks)
    owner, how = locks[0].get('owner_tid'), locks[0].get('owner_how') or ''
    state = 'none'
    if kind in PYTHON_LOCKS:
        state = ('self' if owner in waiters else 'live') if owner in f.by_tid else 'gone' if how == 'no such thread' else 'unknown'
    frame = locks[0].get('owner_frame')
    place = 'taken in %s (%s:%s)' % tuple(frame[:3]) if frame else ''
    return LockGroup(address, PYTHON_LOCKS.get(kind, kind or 'lock'), waiters, owner if state in ('live', 'self') else None, None, how, state,
                     place, False, False, False, '', None, ())


def link_java(f):
    """A JVM's owned monitors and java.util.concurrent locks in the same shape as those of C, and its methods as frames."""
    f.java = f.snap.java if isinstance(f.snap.java, dict) and isinstance(f.snap.java.get('threads'), (list, tuple)) else None
    f.java_groups, table = [], collections.OrderedDict()
    for row in (f.java or {}).get('threads') or ():
        if not isinstance(row, dict) or row.get('tid') not in f.by_tid:
            continue
        f.frames[row['tid']] = tuple((str(name), '', None) for name in row.get('frames') or ())
        address = row.get('waits_monitor') or row.get('waits_lock')
        if address and row.get('owner_tid') in f.by_tid:
            table.setdefault((address, row['owner_tid'], row.get('monitor_class')), []).append(row['tid'])
    for (address, owner, name), waiters in table.items():
        kind = 'Java lock (%s)' % name if name else 'Java monitor'
        f.java_groups.append(LockGroup(address, kind, tuple(waiters), owner, None, 'owner field', 'self' if owner in waiters else 'live',
                                       '', False, False, False, '', None, ()))


def on_word_of(view, condition):
    """Was it seen in a futex of that condition (48 bytes)? A waiter for the GIL wakes every 5 ms, and a single reading
    may catch it between two waits."""
    calls = [call for call in (view.thread.syscall, view.thread.last_syscall) if call is not None and call.kind == 'call' and call.args]
    return bool(condition) and view.wait.kind in ('futex', 'running') and any(condition <= call.args[0] < condition + 48 for call in calls)


def gil_held(f):
    """(holder View, waiting Views) where one thread has held the GIL all the while and others want it, else None."""
    last = (f.python or {}).get('gil') or ()
    first = (f.snap.python or {}).get('gil') or () if isinstance(f.snap.python, dict) else ()
    wanting = {thread.get('tid') for report in (f.python, f.snap.python) if isinstance(report, dict)
               for thread in report.get('threads') or () if isinstance(thread, dict) and thread.get('waits_gil')}
    for row in last:
        if not isinstance(row, dict) or not row.get('locked') or row.get('holder_tid') not in f.by_tid:
            continue
        before = [other for other in first if isinstance(other, dict) and other.get('address') == row.get('address')]
        same = [other for other in before if other.get('holder_tid') == row['holder_tid'] and other.get('locked')
                and other.get('switch_number') == row.get('switch_number')]
        if before and not same or not f.watched_s and not row.get('steady'):
            continue
        waiting = [view for view in f.views if view.tid != row['holder_tid'] and (view.tid in wanting or on_word_of(view, row.get('condition')))]
        if waiting:
            return f.by_tid[row['holder_tid']], waiting
    return None


# --- the chain across processes

STATE_SAYS = {'R': 'running', 'S': 'asleep', 'D': 'in uninterruptible sleep (D)', 'T': 'stopped (SIGSTOP or job control)',
               't': 'stopped by a debugger', 'Z': 'a zombie', 'X': 'ended', 'I': 'an idle kernel thread', 'P': 'parked'}
KIND_WORDS = {
    'futex': 'waits for a futex (a lock or condition)', 'epoll': 'waits in its event loop', 'poll': 'waits in poll or select',
    'sleep': 'sleeps for a time', 'signal': 'waits for a signal', 'child': 'waits for a child', 'vfork': 'waits for its vfork child',
    'pipe-read': 'reads from a pipe', 'pipe-write': 'writes to a pipe that is full', 'fifo-open': 'opens a FIFO that nobody has open for writing',
    'fifo-write': 'opens a FIFO that nobody has open for reading',
    'tty': 'waits for its terminal', 'tty-write': 'writes to a terminal that takes no more', 'socket-read': 'waits for data from a socket', 'socket-write': 'waits to send to a socket',
    'connect': 'waits for a connection', 'accept': 'waits for clients', 'file-lock': 'waits for a file lock',
    'ipc': 'waits for a semaphore or message queue', 'io-uring': 'waits for io_uring', 'aio': 'waits for asynchronous I/O',
    'event': 'waits for an event descriptor', 'userfault': 'waits for its userfaultfd monitor', 'disk': 'waits for a disk or page',
    'nfs': 'waits for a network file server', 'fuse': 'waits for a FUSE server', 'memory': 'waits for memory',
    'oom': 'waits for memory of its cgroup', 'freezer': 'is frozen', 'stop': 'is stopped', 'trace': 'is held by a debugger',
    'coredump': 'dumps core', 'exit': 'has ended', 'kernel': 'waits in the kernel', 'running': 'runs',
    'kthread-idle': 'is an idle kernel thread', 'unknown': 'sleeps, where cannot be read'}


def other_wait(f, other):
    """(thread, Wait) that speaks for another process: the main thread, or where that is
    only parked one that waits for something outside."""
    rows = [(thread, nothing_polled(wait_of(thread, f.arch, other.fds))) for thread in other.threads]
    if not rows:
        return None, Wait('unknown')
    main = next((row for row in rows if row[0].tid == other.pid), rows[0])
    if main[1].kind in ('futex', 'exit'):
        for row in rows:
            if row[1].kind not in ('futex', 'exit', 'epoll', 'sleep', 'signal', 'unknown'):
                return row
    return main


def process_text(f, pid, comm=None):
    """'812 (log-shipper)'"""
    other = (f.snap.others or {}).get(pid)
    if comm is None and other is not None and other.stat is not None:
        comm = other.stat.comm
    return '%d (%s)' % (pid, comm) if comm is not None else str(pid)


class Link(NamedTuple):
    """One step of a chain: a process and what it does; end says why the chain stops."""
    pid: int
    who: str
    does: str
    end: str
    free: bool = False          # a thread of it may go on whatever this one waits for

    @property
    def text(self):
        """'812 (log-shipper) is stopped'"""
        return '%s %s' % (self.who, self.does)


def follow(f, pid, seen=()):
    """From a process to whom it waits for in turn -> tuple of Link, the last being the end."""
    if pid == f.pid or pid in seen:
        return (Link(pid, process_text(f, pid), 'is this process itself' if pid == f.pid else 'is in this chain already', 'cycle'),)
    other = (f.snap.others or {}).get(pid)
    if other is None or other.stat is None:
        return (Link(pid, process_text(f, pid), 'could not be looked at', 'unknown'),)
    if other.stat.state in 'TtZX':
        return (Link(pid, process_text(f, pid), 'is %s' % STATE_SAYS[other.stat.state], 'stopped'),)
    thread, wait = other_wait(f, other)
    words = KIND_WORDS.get(wait.kind, wait.kind)
    what = other.fds.get(wait.fd) if other.fds and wait.fd is not None else None
    if what is not None and what.target:
        words += ', fd %d: %s' % (wait.fd, what.target)
    nexts = next_pids(f, other, wait)
    free = (other.moved or other.caught is None or bool(other.caught & ~RUNTIME_SIGNALS) or len(set(nexts)) > 1
            or any(may_go_on(wait_of(row, f.arch, other.fds)) for row in other.threads if row is not thread))
    here = Link(pid, process_text(f, pid), words, wait.kind, free)
    if len(seen) < 8 and nexts:
        return (here,) + follow(f, nexts[0], tuple(seen) + (pid,))
    return (here,)


def next_pids(f, other, wait):
    """Whom another process waits for, as far as what was read tells."""
    mine = other.fds.get(wait.fd) if other.fds and wait.fd is not None else None
    if wait.kind == 'child' and wait.call is not None:
        return awaited_children(f, other, wait.call)
    if wait.kind in ('pipe-read', 'pipe-write') and mine is not None:
        letter = 'w' if wait.kind == 'pipe-read' else 'r'
        pids = [row[0] for row in holder_rows(f) if row[2] == mine.target and letter in row[4] and row[0] != other.pid]
        return pids + [f.pid for row in (f.snap.fds or {}).values() if row.target == mine.target and letter in side_of(row.flags)][:1]
    if wait.kind in ('socket-read', 'socket-write') and mine is not None:
        return socket_peers(f, mine.inode)
    if wait.kind == 'file-lock':
        return sorted(lock_awaited(f.snap.locks, other.pid) - {other.pid})
    return []


def awaited_children(f, other, call):
    """The children that another process waits for, those that cannot go on first."""
    child = signed32(call.args[0]) if call.name in ('wait4', 'waitpid') else signed32(call.args[1]) if call.name == 'waitid' and call.args[0] == 1 else -1
    rows = [row.stat for row in (f.snap.others or {}).values() if row is not None and row.stat is not None
            and (row.pid == child if child > 0 else row.stat.ppid == other.pid)]
    return [stat.pid for stat in sorted(rows, key=lambda stat: (stat.state not in 'TtD', stat.pid))]


def socket_peers(f, inode):
    """Who has the other end of another process's socket, by its inode: this process, or one that the scan found."""
    row = by_inode(f.snap.sockets).get(inode)
    unix = f.snap.unix or {}
    peer = unix.get(inode, {}).get('peer_inode') or next((mine for mine, facts in unix.items() if facts.get('peer_inode') == inode), None)
    if row is not None and row.proto.startswith('tcp'):
        mirror = tcp_peer_on_host(row, tables_tcp(f.snap.sockets))
        peer = mirror.inode if mirror is not None else None
    if not peer:
        return []
    pids = [held[0] for held in holder_rows(f) if held[2] == 'socket:[%d]' % peer]
    return pids or [f.pid for mine in (f.snap.fds or {}).values() if mine.kind == 'socket' and mine.inode == peer][:1]


RUNTIME_SIGNALS = 1 << 1 | 7 << 31          # SIGINT, which Python always catches, and the C library's own 32 to 34


def caught_signals(f):
    """The signals that the program itself handles: a handler may wake what nobody else can."""
    return (status_mask(f.snap.status, 'SigCgt') or 0) & ~RUNTIME_SIGNALS


def may_go_on(wait, moved=False):
    """Whether a thread may go on by itself, by its timeout or by something from outside: all may but one that is parked for ever."""
    call = wait.call
    return bool(moved) or wait.kind != 'futex' or call is None or len(call.args) < 4 or call.args[3] != 0


def in_ring(f, view, links):
    """The chain from a thread comes back to its process, and nobody in it can go on: each process waits in one thread, without
    a timeout and for the next alone, all other threads are parked, no signal is caught, and none has run meanwhile."""
    if not links or links[-1].end != 'cycle' or links[-1].pid != f.pid or any(link.free for link in links) or caught_signals(f):
        return False
    call = view.wait.call
    return not view.moved and not (call is not None and call.timeout_s is not None) and not any(
        may_go_on(other.wait, other.moved) for other in f.living if other.tid != view.tid)


RING_SAYS = ' They wait for each other: it is a deadlock, none of them can go on.'


def ring_of(f, view, links, severity):
    """(what to say of a ring, severity). Two ends of a connection that both read are no deadlock by what the kernel shows: a
    signal or a timeout may make one of them speak."""
    if not in_ring(f, view, links):
        return '', severity
    if view.wait.kind == 'socket-read' and all(link.end in ('socket-read', 'cycle') for link in links):
        return ' Each waits for the other to speak.', severity
    if view.wait.kind.startswith('socket') or any(link.end.startswith('socket') for link in links):
        return ' They wait for each other: a deadlock, unless a timeout of theirs ends it.', severity
    caveat = unseen_text(f)
    return (' They wait for each other: it is a deadlock, unless another process helps them (%s).' % caveat if caveat else RING_SAYS), 'critical'


def last_but_us(f, links):
    """The last process of a chain to look at next: not this one again."""
    return [link for link in links if link.pid != f.pid][-1]


def waits_for_work(f, links):
    """The process at the end waits for something from this one, which has a thread that may send it: an idle worker."""
    return len(links) > 1 and links[-1].end == 'cycle' and links[-2].end in ('pipe-read', 'socket-read') and any(
        may_go_on(view.wait, view.moved) for view in f.living if view.wait.kind not in ('pipe-read', 'socket-read'))


QUIET_ENDS = ('tty', 'sleep', 'epoll', 'accept', 'poll', 'event')


def holder_rows(f):
    """(pid, fd, target, comm, mode) of all holders that the scan found."""
    rows = (f.snap.holders or {}).get('holders') or ()
    return [row for row in rows if len(row) == 5 and isinstance(row[0], int) and isinstance(row[2], str)]


def unseen_text(f):
    """'' or the caveat: processes that could not be looked at may have the other end."""
    holders = f.snap.holders or {}
    words = []
    if holders.get('unseen'):
        words.append('%d processes could not be looked at' % holders['unseen'])
    if holders.get('cut'):
        words.append('the search was cut short')
    if holders.get('hidden'):
        words.append('other processes are hidden from here')
    return '; '.join(words)


def more_rights(f):
    """How to run procdoc so that it sees more. To root (in a container) 'as root' is no advice: it lacks capabilities."""
    if f.snap.reader_euid == 0:
        return 'with CAP_SYS_PTRACE and the capabilities that %d has' % f.pid
    return 'as the same user or as root'


def other_end(f, fd):
    """Who has the other end of a pipe or FIFO -> OtherEnd."""
    return pipe_other_end(fd, list((f.snap.fds or {}).values()), f.snap.holders, f.pid)


def socket_end(f, fd):
    """Pids that have the other end of a socket -> list of (pid, comm); () unknown."""
    row = fd.socket
    if row is None:
        return ()
    peer = row.peer_inode
    if row.proto.startswith('tcp'):
        other = tcp_peer_on_host(row, tables_tcp(f.snap.sockets))
        peer = other.inode if other is not None else None
    if not peer:
        return ()
    end = socket_other_end(peer, f.snap.holders, f.pid)
    mine = [other for other in (f.snap.fds or {}).values() if other.kind == 'socket' and other.inode == peer]
    return tuple((holder[0], holder[3]) for holder in end.others) + tuple((f.pid, None) for _ in mine[:1])


def held_by(links):
    """'812 (log-shipper), which is stopped; ...': the rest of a sentence about the chain."""
    rest = ''.join('; ' + link.text for link in links[1:])
    return '%s, which %s%s' % (links[0].who, links[0].does, rest)


# ROOM RULES ===================================================================
# One function per known way to hang: Facts in, findings out. Pure: a rule never
# reads. Its docstring is a paragraph of diagnosis. To add one: a function rule_*,
# its code in CODES, a place in RANK if it may be the cause, a test with one fact
# changed and one unseen.

# What is worse comes first within one severity.
RANK = {code: rank for rank, code in enumerate("""
    ended zombie kernel-thread stopped traced frozen deadlock self-deadlock lock-orphaned cgroup-oom
    lock-held wait-fuse wait-nfs wait-memory wait-disk wait-vfork fd-exhausted accept-queue-full pids-limit wait-kernel
    cpu-throttled cpu-starved zombie-leader lock-suspect wait-file-lock wait-connect wait-socket-write wait-pipe-write
    wait-pipe-read wait-socket-read wait-ipc wait-child wait-event busy-kernel busy-user unread-input
    close-wait-leak fd-leak fd-high memory-limit swapping signal-blocked wait-tty unreaped-children
    deleted-file deleted-exe stale-libs pressure
    event-loop-idle wait-accept idle-pool wait-io-uring wait-signal wait-sleep healthy""".split())}
SEVERITIES = ('critical', 'warning', 'note')


def capital(words):
    """A capital at the start; names further on keep their letters."""
    return words[:1].upper() + words[1:]


def people(count, word='thread'):
    """'1 thread', '33 threads'"""
    return '%d %s%s' % (count, word, '' if count == 1 else 's')


def name_of(view):
    """'thread 45680 (worker-3)'"""
    return 'thread %d (%s)' % (view.tid, view.name)


def doing(f, view):
    """What a thread does, as the end of a sentence: 'runs (98 % of a CPU)'."""
    frames = f.frames.get(view.tid)
    where = frame_place(frames)
    if view.wait.kind == 'running':
        share = '' if view.cpu_pct is None else ' (%.0f %% of a CPU)' % view.cpu_pct
        return 'runs%s%s' % (share, where)
    words = KIND_WORDS.get(view.wait.kind, view.wait.kind)
    if view.text:
        words += ': ' + view.text
    return words + where


def frame_place(frames):
    """' at app.py:42 in fetch' of the innermost frame, ' in Pool.take' where no line is known, '' without frames."""
    if not frames:
        return ''
    name, file, line = frames[0]
    return ' at %s:%s in %s' % (file, line, name) if file else ' in %s' % name


def wait_evidence(f, view):
    """Where it is seen that a thread waits: its call, its wait channel, that it has not run."""
    rows = []
    if view.wait.by == 'syscall' and view.text:
        rows.append(Evidence('in %s' % view.text, f.source('syscall', view.tid)))
    channel = view.thread.wchan
    if channel not in (None, '0'):
        row = wchan_row(channel)
        rows.append(Evidence('wait channel %s%s' % (channel, ': ' + row.text if row is not None else ''), f.source('wchan', view.tid)))
    elif view.thread.stack:
        rows.append(Evidence('kernel stack %s' % ' < '.join(view.thread.stack[:4]), f.source('stack', view.tid)))
    rows.append(still_evidence(f, view))
    frames = f.frames.get(view.tid)
    if frames:
        rows.append(Evidence('%s: %s' % ('Python' if frames[0][1] else 'Java', frames_text(frames)), '%d/mem' % f.pid))
    return [row for row in rows if row is not None]


def tasks_evidence(f):
    """How many asyncio tasks wait, and where most of them do."""
    groups = [group for group in f.tasks if group.state == 'suspended']
    total = sum(len(group.names) for group in groups)
    if not total:
        return []
    words, most = '1 asyncio task is pending' if total == 1 else '%d asyncio tasks are pending' % total, groups[0]
    if any((asyncio_report(f.python) or {}).get(name) for name in ('cut', 'moving')):
        words = 'at least ' + words
    if f.watched_s and all(group.still is not None for group in groups):
        still = sum(group.still for group in groups)        # at least: the first look may have left some out
        count = '' if total == 1 else 'all' if still == total else str(still)
        if still:
            words += ', %s where %s %.1f s before' % (count + ' of them' if count else 'it is', 'they were' if still > 1 else 'it was', f.watched_s)
    count = '' if total == 1 else 'all of them ' if len(most.names) == total else '%d of them ' % len(most.names)
    return [Evidence('%s; %sin %s' % (words, count, frames_text(most.frames) or 'a coroutine'), '%d/mem' % f.pid)]


def frames_text(frames, most=4):
    """'acquire_slot (pool.py:88) < handle (app.py:120)'"""
    shown = ['%s (%s:%s)' % (name, str(file).rpartition('/')[2], line) if file else name for name, file, line in frames[:most]]
    return ' < '.join(shown) + (' < ...' if len(frames) > most else '')


def still_evidence(f, view):
    """'state S in all 10 looks, not run for 1.0 s, last ran 12 s ago'"""
    if not view.strip:
        return None
    words = 'state %s' % view.strip
    if view.moved is False:
        words += ', it has not run at all in %.1f s' % f.watched_s
    elif view.moved:
        words += ', it ran in between' if not view.cpu_pct else ', it used %.0f %% of a CPU' % view.cpu_pct
    if view.idle_s is not None and view.idle_s >= 0.5 and not view.moved:
        words += ', last ran %s ago' % duration(view.idle_s)
    return Evidence(words, f.source('stat', view.tid))


def duration(seconds):
    """'42 s', '3 h 12 min', '5 d 2 h'"""
    if seconds < 10:
        return '%.1f s' % seconds
    seconds = int(seconds)
    for unit, size, below, smaller in (('d', 86400, 'h', 3600), ('h', 3600, 'min', 60), ('min', 60, 's', 1)):
        if seconds >= size:
            rest = seconds % size // smaller
            return '%d %s' % (seconds // size, unit) + (' %d %s' % (rest, below) if rest else '')
    return '%d s' % seconds


def finding(code, severity, confidence, summary, evidence=(), next=(), tids=(), pids=()):
    """A Finding with its rank."""
    return Finding(code, severity, confidence, summary, tuple(row for row in evidence if row is not None),
                   tuple(next), tuple(tids), tuple(pids), RANK.get(code, 50))


# --- what to do next

def catches(f, signal_number):
    """Does the process handle that signal itself? Else kill -QUIT would end it."""
    mask = status_mask(f.snap.status, 'SigCgt')
    return bool(mask and mask >> (signal_number - 1) & 1)


def stack_command(f, tid=None):
    """How to get the program's own stacks: another command for each runtime."""
    pid = f.pid
    if f.runtime.name == 'python':
        if f.frames:
            return []
        if not f.snap.live:
            return ['python3 procdoc.py %d   (where it runs, as root or its own user: it shows the Python lines)' % pid]
        if f.python is None or not f.python.get('error'):
            return ['python3 procdoc.py %d   (%s: it then shows the Python lines)' % (pid, more_rights(f))]
        return ['py-spy dump --pid %d' % pid]
    if f.runtime.name == 'jvm':
        rows = ['jstack -l %d   (or: jcmd %d Thread.print -l)' % (pid, pid)] if not f.frames or f.snap.full else []
        return rows + (['kill -QUIT %d   (the JVM prints all stacks to its stdout)' % pid] if catches(f, 3) else [])
    if f.runtime.name == 'go':
        return ['kill -QUIT %d   prints every goroutine to stderr, and ENDS the process: last resort' % pid]
    if f.runtime.name == 'node':
        return ['kill -USR1 %d   opens the inspector on 127.0.0.1:9229' % pid] if catches(f, 10) else []
    if f.runtime.name == 'postgres':
        return ["psql -c 'select pid, state, wait_event_type, wait_event, query from pg_stat_activity'"]
    if any(view.state == 'D' for view in f.views):
        return ['cat /proc/%d/task/*/stack   (as root; not gdb or strace: they would hang too)' % pid]
    if f.runtime.name == 'ruby':
        return ['rbspy dump --pid %d' % pid]
    return ['gdb -p %d -batch -ex "thread apply all bt"   (stops it while it looks)' % pid]


# --- the whole process is in a state of its own

def rule_ended(f):
    """It ended while it was being read: at the last look it was gone, or a zombie that had lived at the
    first. What it waited for before does not matter any more."""
    rows = list(f.snap.threads.values()) if f.snap.threads else []
    if f.watched_s and rows and all(thread.looks and thread.looks[-1].state in '-ZX' for thread in rows) and any(
            thread.stat.state not in 'ZX' for thread in rows):
        yield finding('ended', 'note', 'proven', 'It ended while it was being watched: nothing is stuck any more.',
                      [Evidence('gone, or a zombie, at the last look after %.1f s' % f.watched_s, f.source('stat'))])


def rule_zombie(f):
    """A zombie has ended; only its exit status is left, for its parent to collect. It holds
    no memory, no descriptor and no lock, and cannot be killed: look at the parent."""
    stat = f.snap.stat
    if stat.state not in 'ZX' or len(f.living) or (stat.num_threads or 1) > 1:
        return
    parent = f.snap.parents[0][0] if f.snap.parents else None
    who = process_text(f, parent.pid, parent.comm) if parent is not None else str(stat.ppid)
    yield finding(
        'zombie', 'critical', 'proven',
        'It has ended%s and is a zombie: nothing is left in it to diagnose; its parent %s has not collected its exit status.'
        % (exit_text(stat.exit_code), who),
        [Evidence('state Z, %s' % people(stat.num_threads or 1), f.source('stat'))],
        ['python3 procdoc.py %d   (the parent is the one to look at; ending it removes the zombie)' % stat.ppid]
        if stat.ppid else [], pids=[stat.ppid] if stat.ppid else [])


def exit_text(code):
    """' with exit status 3', ' by SIGKILL': of stat's field 52."""
    if code is None:
        return ''
    if code & 0x7f:
        return ' by %s' % (signal_name(code & 0x7f) or 'signal %d' % (code & 0x7f))
    return ' with exit status %d' % (code >> 8 & 0xff) if code else ''


def rule_zombie_leader(f):
    """The main thread has ended (pthread_exit in main) and others live on. ps shows the
    process as a zombie and /proc/PID/fd is empty, but it is alive: look at its threads."""
    stat = f.snap.stat
    if stat.state not in 'ZX' or not f.living:
        return
    yield finding(
        'zombie-leader', 'warning', 'proven',
        'Its main thread has ended but %s: not a zombie, though ps and top show one.'
        % ('1 other thread lives on' if len(f.living) == 1 else '%d other threads live on' % len(f.living)),
        [Evidence('the main thread is in state Z', f.source('stat')),
         Evidence('living: %s' % ', '.join(name_of(view) for view in f.living[:4]), f.source('task'))],
        tids=[view.tid for view in f.living[:50]])


def rule_kernel_thread(f):
    """A kernel thread has no program, no memory and no descriptors. In S or I it is idle; in
    D for long, the kernel itself waits for a device or a lock."""
    if not f.snap.stat.is_kernel_thread:
        return
    view = f.views[0]
    stuck = view.state == 'D' and view.steady and 'kthread-idle' != view.wait.kind
    yield finding(
        'kernel-thread', 'warning' if stuck else 'note', 'proven',
        'It is a kernel thread: no program of yours, and nothing in it to fix. It %s.'
        % ('is in D: the kernel waits for a device or lock' if stuck else KIND_WORDS.get(view.wait.kind, 'is asleep')),
        [Evidence('PF_KTHREAD is set in its flags', f.source('stat'))] + wait_evidence(f, view)[:2])


def rule_stopped(f):
    """SIGSTOP, SIGTSTP (Ctrl-Z), SIGTTIN or SIGTTOU has stopped it: it does nothing until
    SIGCONT. No lock or socket is to blame, and what it holds stays held meanwhile."""
    stopped = [view for view in f.living if view.wait.kind == 'stop']
    if not stopped:
        return
    number_of_signal = stop_signal(f, stopped)
    by, why, nexts = '(SIGSTOP, Ctrl-Z or terminal job control)', '', ['kill -CONT %d' % f.pid]
    if number_of_signal in STOPPERS:
        by = 'by %s' % signal_name(number_of_signal)
        why, remedy_of_it = STOPPERS[number_of_signal]
        nexts = [remedy_of_it] if remedy_of_it else nexts
    yield finding(
        'stopped', 'critical', 'proven',
        'It is stopped %s and does nothing until it gets SIGCONT.%s' % (by, why),
        [Evidence('state T in %s' % people(len(stopped)), f.source('stat'))],
        nexts, tids=[view.tid for view in stopped[:50]])


FOREGROUND = 'fg in the shell of its terminal   (kill -CONT %s)'
STOPPERS = {
    19: (' Somebody sent it: kill -STOP.', ''),
    20: (' That is Ctrl-Z.', ''),
    21: (' It is in the background of its terminal and reads from it: SIGCONT alone does not help, the next read stops it again.',
         FOREGROUND % 'does not help: it is stopped again'),
    22: (' It is in the background of its terminal and writes to it or sets it (stty tostop): SIGCONT alone does not help, it is stopped again.',
         FOREGROUND % 'helps only after stty -tostop there')}


def stop_signal(f, stopped):
    """The signal that stopped it, None where that is not told. Newer kernels have it in stat's exit code; before, a
    job in the background that sleeps in a read of its terminal was stopped by that, or by Ctrl-Z meanwhile: fg is right for both."""
    stat = f.snap.stat
    if stat.exit_code in STOPPERS:
        return stat.exit_code
    if not stat.tty_nr or not background(stat):
        return None
    for view in stopped:
        call = plain_call(f.arch, view.thread.syscall)
        fd = (f.snap.fds or {}).get(call.fd) if call is not None else None
        if fd is not None and fd.kind == 'tty':
            return 21 if call.name in READS else 22 if call.name in WRITES or call.name == 'ioctl' else None
    return None


def background(stat):
    """Not in the foreground group of its terminal."""
    return stat.pgrp is not None and stat.pgrp != stat.session


def rule_traced(f):
    """A debugger or tracer holds it (ptrace stop): it runs again when the tracer lets it,
    detaches or ends. Attached but running is said as well, as it slows every call."""
    tracer = status_number(f.snap.status, 'TracerPid')
    held = [view for view in f.living if view.wait.kind == 'trace']
    if not tracer and not held:
        return
    stat = f.snap.tracer[0] if f.snap.tracer else None
    who = process_text(f, tracer, stat.comm if stat is not None else None) if tracer else 'a tracer that is not visible here'
    if held:
        yield finding('traced', 'critical', 'proven',
                      'It is stopped by %s, which traces it (ptrace): it runs again when the tracer lets it.' % who,
                      [Evidence('state t in %s' % people(len(held)), f.source('stat')),
                       Evidence('TracerPid %s' % tracer, f.source('status'))],
                      ['python3 procdoc.py %d   (what does the tracer wait for?)' % tracer if tracer else 'look for a debugger',
                       'detach the debugger, or end it: the kernel then lets the process go'],
                      tids=[view.tid for view in held[:50]], pids=[tracer] if tracer else [])
    else:
        yield finding('traced', 'note', 'proven', 'It is being traced by %s (strace or a debugger); it runs, but slower.' % who,
                      [Evidence('TracerPid %s' % tracer, f.source('status'))], pids=[tracer])


# --- locks

def rule_deadlock(f):
    """Threads that wait for each other in a ring: each holds what the next one wants. The
    owners were read from the mutexes themselves. It never ends by itself, unless one of the
    waits has a timeout."""
    for cycle in f.cycles:
        views = [f.by_tid[tid] for tid in cycle.tids if tid in f.by_tid]
        if len(views) != len(cycle.tids) or any(view.moved and f.group_of.get(view.tid) not in f.java_groups for view in views):
            continue                    # one that ran is in no ring; HotSpot alone wakes its waiters once a second
        inferred = any('value stack' in f.group_of[tid].owner_how for tid in cycle.tids if tid in f.group_of)
        confidence = 'likely' if cycle.timed or inferred else 'proven'
        behind = '; %s behind them' % people(cycle.behind) if cycle.behind else ''
        timed = ' One of the waits has a timeout, so it may end by itself.' if cycle.timed else ''
        if len(views) == 1:
            group = f.group_of.get(views[0].tid)
            yield finding('self-deadlock', 'critical', confidence,
                          '%s waits for a %s that it holds itself: it can never go on%s.%s'
                          % (capital(name_of(views[0])), group.kind if group else 'lock', behind, timed),
                          lock_evidence(f, group, views[:1]), stack_command(f), tids=cycle.tids)
            continue
        ring = ' -> '.join(str(view.tid) for view in views + views[:1])
        yield finding('deadlock', 'critical', confidence,
                      'Deadlock: %s wait for each other in a ring (%s)%s.%s' % (people(len(views)), ring, behind, timed),
                      [row for view in views[:6] for row in lock_evidence(f, f.group_of.get(view.tid), [view])[:2]],
                      ['end the process: no thread of the ring can go on by itself'] + stack_command(f), tids=cycle.tids)


def lock_evidence(f, group, views):
    """The lock, who holds it, who waits for it."""
    rows = []
    if group is not None:
        owner = ''
        if group.owner_tid is not None:
            view = f.by_tid.get(group.owner_tid)
            owner = ', held by %s' % (name_of(view) if view is not None else 'thread %d' % group.owner_tid)
            owner += ' (%s)' % group.owner_how if group.owner_how else ''
        rows.append(Evidence('%s at %#x%s%s' % (group.kind, group.uaddr, place_text(group), owner),
                             '%d/mem' % f.pid))
    for view in views:
        rows.append(Evidence('%s waits in %s' % (name_of(view), view.text or view.wait.name), f.source('syscall', view.tid)))
        frames = f.frames.get(view.tid)
        if frames:
            rows.append(Evidence('%s: %s' % (view.tid, frames_text(frames)), '%d/mem' % f.pid))
    return rows


def place_text(group):
    """' in heap', ' taken in hot (app.py:6)'"""
    if not group.place:
        return ''
    return ' ' + group.place if group.place.startswith('taken in ') else ' in ' + group.place


def steady_waiters(f, group):
    """Those of a lock's waiters that have waited for the whole watch. HotSpot wakes a thread at a monitor's
    entry once a second (JDK 11 to 21): that is no progress."""
    if group in f.java_groups:
        return [f.by_tid[tid] for tid in group.waiters if tid in f.by_tid]
    return [f.by_tid[tid] for tid in group.waiters if tid in f.by_tid and not f.by_tid[tid].moved]


def rule_lock_orphaned(f):
    """The lock's owner does not exist here: its thread ended without unlocking, the process was
    forked while another thread held it, or the owner is in another process. Nobody in this
    process can ever unlock it."""
    for group in f.lock_groups:
        if group.owner_state not in ('gone', 'forked', 'elsewhere') or group.kind == 'join':
            continue
        waiters = steady_waiters(f, group)
        if not waiters:
            continue
        number_of_owner = group.owner_ns_tid or group.owner_tid
        why = {'gone': 'whose owner, thread %s, has ended without unlocking it' % (number_of_owner or 'unknown'),
               'forked': 'that thread %s of the parent process %s held when this process was forked: nobody here can unlock it'
                         % (number_of_owner, group.owner_pid),
               'elsewhere': 'that is held by thread %s of another process, %s'
                            % (number_of_owner, process_text(f, group.owner_pid) if group.owner_pid else 'unknown')}[group.owner_state]
        yield finding('lock-orphaned', 'critical', 'proven' if group.owner_state != 'gone' or group.robust else 'likely',
                      '%s for a %s %s.' % (waits_word(len(waiters)), group.kind, why),
                      lock_evidence(f, group, waiters[:3]), stack_command(f),
                      tids=[view.tid for view in waiters], pids=[group.owner_pid] if group.owner_pid else [])


def waits_word(count):
    """'1 thread waits', '33 threads wait'"""
    return '%s wait%s' % (people(count), 's' if count == 1 else '')


IDLE_KINDS = frozenset('epoll accept'.split())


def rule_lock_held(f):
    """Threads wait for a lock whose owner is written in it and lives. The owner is what to look
    at: what it does, or waits for, is the cause. The chain is followed to its end."""
    for root, groups in held_by_root(f).items():
        view = f.by_tid.get(root)
        waiters = [waiter for group in groups for waiter in steady_waiters(f, group)]
        if view is None or not waiters:
            continue
        behind = next((chain.behind for chain in f.chains if chain.root == root), len(waiters))
        if groups[0].pi and parked_for_good(f, view):
            yield finding('deadlock', 'critical', 'likely',
                          'Deadlock on PI mutexes: %s for one of %s, which glibc has parked for good on its own stack, as it does when the '
                          'kernel finds a ring of PI mutexes.' % (waits_word(len(waiters)), name_of(view)),
                          lock_evidence(f, groups[0], waiters[:2]) + wait_evidence(f, view), stack_command(f), tids=[view.tid] + [row.tid for row in waiters])
            continue
        leader = view.wait.kind in IDLE_KINDS
        kind = groups[0].kind if len(groups) == 1 else '%d locks' % len(groups)
        article = 'a %s' % kind if len(groups) == 1 else kind
        summary = '%s for %s of %s, which %s.' % (waits_word(len(waiters)), article, name_of(view), doing(f, view))
        if behind > len(waiters):           # joiners, and waiters for what the waiters hold: not for this lock
            summary += ' %d more %s behind them.' % (behind - len(waiters), 'waits' if behind - len(waiters) == 1 else 'wait')
        summary += chain_end(f, view)
        evidence = [row for group in groups[:2] for row in lock_evidence(f, group, steady_waiters(f, group)[:1])]
        inferred = any('value stack' in group.owner_how for group in groups)
        yield finding('lock-held', 'warning' if leader else 'critical', 'likely' if inferred else 'proven',
                      summary, evidence + wait_evidence(f, view), owner_next(f, view),
                      tids=[view.tid] + [waiter.tid for waiter in waiters], pids=chain_pids(f, view))


def parked_for_good(f, view):
    """glibc answers the kernel's EDEADLK on a PI mutex with an endless futex wait for a word on the stack."""
    wait, group = f.waits.get(view.tid), f.group_of.get(view.tid)
    return bool(wait is not None and wait.private and not wait.timeout_ptr and wait.val == 0 and group is not None
                and len(group.waiters) == 1 and group.place in ('stack of thread %d' % view.tid, 'stack of the main thread'))


def rule_gil(f):
    """One thread of CPython has the GIL and does not give it up: a C extension that computes or
    waits without releasing it. No other Python thread can run a line meanwhile."""
    found = gil_held(f)
    if found is None:
        return
    holder, waiting = found
    yield finding('lock-held', 'critical', 'proven' if f.watched_s else 'likely',
                  '%s for the GIL, held by %s in a C call (no Python progress in %.1f s): it %s.'
                  % (waits_word(len(waiting)).replace('thread', 'Python thread', 1), name_of(holder), f.watched_s, doing(f, holder)),
                  [Evidence('the GIL is locked by thread %d at both ends of the watch, and was not given up in between' % holder.tid, '%d/mem' % f.pid)]
                  + wait_evidence(f, holder), stack_command(f, holder.tid), tids=[holder.tid] + [view.tid for view in waiting])


def rule_event_loop_blocked(f):
    """An asyncio loop runs its callbacks one after the other: one that waits or computes holds up all
    others. The same frames below _run_once at both ends of the watch say so."""
    for view in f.workers:
        frames = f.frames.get(view.tid)
        state, place = python_summary(frames) if frames else (None, None)
        if state != 'blocked' or view.moved and view.wait.kind != 'running':
            continue
        if f.first_frames is not None and f.first_frames.get(view.tid) != frames:
            continue
        code = OUTWARD[view.wait.kind][0] if view.wait.kind in OUTWARD else 'wait-sleep' if view.wait.kind == 'sleep' else None
        if code is None:
            continue
        yield finding(code, 'critical' if f.watched_s else 'warning', 'likely',
                      'The asyncio event loop of %s is blocked at %s:%s in %s: it %s. No other task runs meanwhile.'
                      % (name_of(view), place[1], place[2], place[0], doing(f, view)), wait_evidence(f, view) + tasks_evidence(f),
                      ['make that call asynchronous, or run it in a thread (asyncio.to_thread, run_in_executor)'], tids=[view.tid])


def held_by_root(f):
    """{root tid: lock groups on the way to it}: the end of each chain of owned locks."""
    roots = collections.OrderedDict()
    owner_of_waiter = {tid: group.owner_tid for group in f.lock_groups if group.owner_state == 'live' for tid in group.waiters}
    ring = {tid for cycle in f.cycles for tid in cycle.tids}
    for group in f.lock_groups:
        if group.owner_state != 'live' or group.kind == 'join' or group.owner_tid is None:
            continue
        root, seen = group.owner_tid, set()
        while root in owner_of_waiter and root not in seen:
            seen.add(root)
            root = owner_of_waiter[root]
        if root not in ring and root not in seen:
            roots.setdefault(root, []).append(group)
    return roots


def chain_end(f, view):
    """' Its pipe is read by 812 (log-shipper), which is stopped.' or ''."""
    links = chain_of_view(f, view)
    return ' ' + chain_sentence(links) if links else ''


def chain_sentence(links):
    """The links of a chain across processes as one sentence."""
    return 'At the other end: ' + '; '.join(link.text for link in links) + '.'


def chain_of_view(f, view):
    """The chain from what a thread waits for outside the process -> tuple of Link."""
    fd = (f.snap.fds or {}).get(view.wait.fd) if view.wait.fd is not None else None
    if fd is None:
        return ()
    if view.wait.kind in ('pipe-read', 'pipe-write'):
        others = other_end(f, fd).others
        pids = [row[0] for row in others]
    elif fd.kind == 'socket':
        pids = [pid for pid, _ in socket_end(f, fd) if pid != f.pid]
    elif view.wait.kind == 'file-lock':
        pids = [pid for pid in explain_file_lock(f, view, '')[4] if pid != f.pid]
    else:
        return ()
    return follow(f, pids[0]) if pids else ()


def chain_pids(f, view):
    """The pids of a thread's chain."""
    return [link.pid for link in chain_of_view(f, view)]


def owner_next(f, view):
    """What to do about the thread that holds everybody up."""
    rows = stack_command(f, view.tid)
    links = chain_of_view(f, view)
    if links:
        rows = ['python3 procdoc.py %d   (%s)' % (links[-1].pid, 'the end of the chain')] + rows
    return rows


def rule_lock_suspect(f):
    """Many threads wait in futex for one word and one or few are elsewhere. Where no owner is
    recorded or memory may not be read, the one elsewhere is the likely owner. An idle pool whose
    workers share one condition looks the same: operation and value of the futex tell them apart."""
    if any(True for _ in rule_deadlock(f)):
        return
    rows = sorted(suspects(f), key=lambda row: -len(row[0]))
    if not rows:
        return
    waiters, group, sure = rows[0]
    everyone = [view for row in rows for view in row[0]]
    tids = {view.tid for view in everyone}
    elsewhere = [view for view in f.workers if view.wait.kind not in ('futex', 'exit') and view.tid not in tids]
    blamed = [view for view in elsewhere if view.wait.kind == 'running'] or elsewhere
    summary = suspect_summary(f, rows, everyone, blamed)
    evidence = [Evidence('%d of %d in futex: %s' % (len(everyone), len(f.living), waiters[0].text or waiters[0].wait.name),
                         f.source('syscall' if waiters[0].wait.by == 'syscall' else 'wchan', waiters[0].tid)),
                Evidence(suspect_reason(f, group), '%d/mem' % f.pid), still_evidence(f, waiters[0])]
    evidence += [Evidence('%s: %s' % (name_of(row[0][0]), row[0][0].text), f.source('syscall', row[0][0].tid)) for row in rows[1:4]]
    for view in blamed[:2]:
        evidence += wait_evidence(f, view)[:3]
    yield finding('lock-suspect', 'critical' if len(everyone) * 2 >= len(f.workers) and (len(everyone) > 1 or len(f.views) == 1) else 'warning',
                  sure, summary, evidence, stack_command(f), tids=[view.tid for view in (blamed if len(blamed) == 1 else []) + everyone])


def suspect_summary(f, rows, everyone, blamed):
    """Who waits for how many locks, and who may hold them."""
    call = rows[0][0][0].wait.call
    word = ' (futex %#x)' % call.args[0] if call is not None and call.args else ''
    kind = rows[0][1].kind if rows[0][1] is not None else ''
    what = {'static initialisation': 'one static variable of C++ to be initialised', 'pthread_once': 'one thing to be initialised (pthread_once)'}.get(kind, 'one lock')
    what = (what + word if kind else 'a futex') if len(rows) == 1 else '%d different locks' % len(rows)
    start = '%s for %s' % (waits_word(len(everyone)), what)
    if len(blamed) == 1:
        return start + '; only %s is elsewhere and %s it: it %s.%s' % (
            name_of(blamed[0]), 'may hold' if rows[0][2] == 'possible' else 'likely holds', doing(f, blamed[0]), chain_end(f, blamed[0]))
    if blamed:
        return start + '; %s are elsewhere, one of them may hold it.' % people(len(blamed))
    return start + (' and no thread is at work: it may be a deadlock.' if len(everyone) > 1 else
                    ' and no other thread is at work: a lost unlock, or a deadlock.')


def suspect_reason(f, group):
    """Why no owner is named."""
    if group is None and lone_waitv(f):
        return 'only a thread of this process could wake it (all words are private), and it has no other'
    if group is None or group.owner_state == 'unknown' and not f.snap.words:
        return 'the owner could not be read: its memory is %s' % ('not readable from here' if f.snap.live else 'not in the snapshot')
    return 'no owner is recorded in it (%s%s)' % (group.kind, ', ' + group.note if group.note else '')


def suspects(f):
    """(waiters, LockGroup or None, confidence) of what looks like a lock and has no known owner."""
    claimed = {tid for group in f.lock_groups if group.owner_state in ('live', 'self', 'gone', 'forked', 'elsewhere')
               for tid in group.waiters}
    workers = {view.tid for view in f.workers}
    for group in f.lock_groups:
        waiters = [view for view in steady_waiters(f, group) if view.tid in workers and view.tid not in claimed]
        sure = suspect_confidence(f, group, waiters) if waiters else None
        if sure:
            yield waiters, group, sure
    if lone_waitv(f):
        yield f.living, None, 'likely'
    elif not f.lock_groups:
        waiters = [view for view in f.workers if view.wait.kind == 'futex' and not view.moved]
        outside = [view for view in f.workers if view.wait.kind in OUTWARD or view.wait.kind == 'running']
        if len(waiters) >= 2 and 1 <= len(outside) <= max(1, len(waiters) // 4) and any(
                view.wait.kind == 'running' for view in outside):
            yield waiters, None, 'possible'


def lone_waitv(f):
    """The only thread is in futex_waitv for ever, and all its words are private: as hung as in FUTEX_WAIT."""
    wait = f.waits.get(f.living[0].tid) if len(f.views) == 1 and f.living else None
    words = waitv_words(wait, f.words) if wait is not None and wait.cmd == FUTEX_WAITV and not wait.timeout_ptr and not f.living[0].moved else []
    return bool(words) and not caught_signals(f) and all(word.private for word in words)


def suspect_confidence(f, group, waiters):
    """'likely', 'possible' or None: is this word a lock at all, and not an idle worker's?"""
    wait = f.waits.get(waiters[0].tid)
    if wait is None or group.kind == 'join':
        return None
    if len(f.views) == 1 and wait.private and not wait.timeout_ptr and not caught_signals(f):
        return 'likely'                 # the only thread, and nobody outside can wake a private futex: it is hung
    if group in f.python_groups:
        return 'likely' if group.kind in ('threading.Lock', 'threading.RLock', 'import lock') else None
    if f.runtime.name in ('jvm', 'node', 'go', 'dotnet'):
        return None
    if group.kind in ('barrier', 'std::future') or group.kind.startswith('condition'):
        return None
    if group.kind == 'static initialisation':
        return 'likely'
    if group.kind == 'pthread_once':
        return 'possible'
    if group.kind == 'semaphore' or wait.cmd in (0, 9) and wait.val == 0 and wait.realtime:
        return python_semaphore(f, waiters)
    if any(word in group.kind for word in ('mutex', 'rwlock', 'stdio')):
        return 'likely'
    return word_confidence(f, group, wait, waiters)


def python_semaphore(f, waiters):
    """CPython to 3.12 makes its locks of semaphores: several on one word wait for one Lock, or are the idle
    workers of an executor. Where its memory could not be read, a thread at work beside them decides."""
    if f.runtime.name != 'python' or f.frames or len(waiters) < 2:
        return None
    return 'possible' if any(view.wait.kind == 'running' or view.wait.kind in OUTWARD for view in f.workers) else None


def word_confidence(f, group, wait, waiters):
    """By operation and value alone: 2 is a contended mutex of glibc, Rust and musl; musl's condition and join use it too."""
    if len(waiters) < 2 and wait.cmd == 0 and (group.kind == 'low-level lock' or group.place.startswith('stack of')):
        return None                     # malloc's, Go's or musl's: one waiter alone may as well be parked
    mutex_like = wait.val == 2 or wait.cmd in (6, 13) or (wait.val & 0x80000000 and wait.val != 0xffffffff)
    if not mutex_like or ('musl' in f.runtime.label and wait.val == 2 and len(waiters) < 2):
        return None
    return 'likely' if len(waiters) >= 2 or group.kind != 'unknown futex' else 'possible'


# --- waiting on others

OUTWARD = {
    # kind: (code, severity where it is one of several threads, where it is all that the process does)
    'socket-read': ('wait-socket-read', 'warning', 'warning'),
    'socket-write': ('wait-socket-write', 'warning', 'critical'),
    'connect': ('wait-connect', 'warning', 'critical'),
    'pipe-read': ('wait-pipe-read', 'warning', 'warning'),
    'pipe-write': ('wait-pipe-write', 'warning', 'critical'),
    'fifo-open': ('wait-pipe-read', 'warning', 'critical'),
    'fifo-write': ('wait-pipe-write', 'warning', 'critical'),
    'child': ('wait-child', 'warning', 'warning'),
    'vfork': ('wait-vfork', 'critical', 'critical'),
    'file-lock': ('wait-file-lock', 'warning', 'critical'),
    'disk': ('wait-disk', 'critical', 'critical'),
    'aio': ('wait-disk', 'note', 'note'),
    'nfs': ('wait-nfs', 'critical', 'critical'),
    'fuse': ('wait-fuse', 'critical', 'critical'),
    'memory': ('wait-memory', 'critical', 'critical'),
    'userfault': ('wait-memory', 'critical', 'critical'),
    'kernel': ('wait-kernel', 'critical', 'critical'),
    'coredump': ('wait-kernel', 'critical', 'critical'),
    'ipc': ('wait-ipc', 'warning', 'warning'),
    'tty': ('wait-tty', 'note', 'note'),
    'tty-write': ('wait-tty', 'warning', 'critical'),
    'event': ('wait-event', 'note', 'note'),
    'io-uring': ('wait-io-uring', 'note', 'note'),
    'signal': ('wait-signal', 'note', 'note'),
    'accept': ('wait-accept', 'note', 'note'),
}
QUIET_IN_COMPANY = frozenset('tty event io-uring signal accept aio'.split())
SHELLS_AND_INITS = frozenset('sh bash dash ash zsh ksh fish busybox tini dumb-init docker-init systemd init runit s6-svscan supervisord '
                             'sudo su login make xargs timeout time nohup env catatonit sshd crond cron'.split())


def rule_waits(f):
    """Threads that wait for something outside of the process: a peer, a child, a file, a device.
    One finding for each kind; a thread that has run meanwhile is not stuck. Helper threads
    of the runtime do not count."""
    if f.snap.stat.is_kernel_thread:
        return
    table = collections.OrderedDict()
    for view in f.workers:
        if view.wait.kind in OUTWARD and stuck(view):
            table.setdefault((OUTWARD[view.wait.kind][0], view.wait.kind), []).append(view)
    parked = [view for view in f.workers if view.wait.kind in ('futex', 'epoll', 'poll', 'sleep', 'running')]
    for (code, kind), views in table.items():
        if kind in QUIET_IN_COMPANY and parked and code != 'wait-accept':
            if kind != 'tty' or len(parked) > 1:
                continue
        yield wait_finding(f, code, kind, views)


def stuck(view):
    """It has not run, or is in D each time it was seen; a kernel wait is only one in D."""
    if view.wait.kind == 'kernel' and view.state != 'D' and view.wait.by != 'syscall':
        return view.wait.sure and not view.moved
    if view.state == 'D' and set(view.strip) <= {'D'}:
        return True
    if view.wait.kind in ('disk', 'kernel') and view.state != 'D':
        return False
    last = view.last_wait
    return not view.moved and (last is None or last.kind in (view.wait.kind, 'poll') or last.name == view.wait.name)


def wait_finding(f, code, kind, views):
    """One kind of wait -> Finding."""
    view = min(views, key=lambda row: (row.tid != f.pid, row.tid))
    alone = len(views) == len(f.workers)
    severity = OUTWARD[kind][2 if alone else 1]
    explain = WAIT_EXPLAIN.get(kind)
    words, severity, more, nexts, pids = explain(f, view, severity) if explain else ('', severity, [], [], [])
    who = 'It' if len(f.living) == 1 else (capital(name_of(view)) if len(views) == 1 else
                                          '%s of %d' % (people(len(views)), len(f.living)))
    verb = KIND_WORDS[kind] if len(views) == 1 or len(f.living) == 1 else 'are where each ' + KIND_WORDS[kind]
    what = ': %s' % view.text if view.text else ''
    frames = f.frames.get(view.tid)
    if frames:
        what += ',' + frame_place(frames)
    confidence = 'proven' if view.wait.by in ('syscall', 'stack') and f.watched_s else 'likely' if view.wait.sure else 'possible'
    if code == 'wait-kernel' and not view.wait.sure or confidence == 'proven' and unseen_text(f) and unseen_text(f) in words:
        confidence = 'likely'
    summary = '%s %s%s.%s' % (who, verb, what, ' ' + words if words else '')
    return finding(code, severity, confidence, summary, wait_evidence(f, view) + more,
                   list(nexts) + (stack_command(f) if severity != 'note' else []),
                   tids=[row.tid for row in views[:200]], pids=pids)


def holders_chain(f, reads, pids):
    """(the chain to tell of, whether all holders are idle workers): the first of those that have the other end which is not
    idle. A worker in a futex is idle if another of the same pool waits for work from here: it waits for its turn."""
    chains = [follow(f, pid) for pid in pids[:4]]
    working = [links for links in chains if waits_for_work(f, links)]
    odd = [links for links in chains if links not in working and not (working and links[-1].end == 'futex') and links[-1].end not in QUIET_ENDS]
    return (odd or working or chains)[0], bool(reads and working and not odd)


def explain_pipe(f, view, severity):
    """The other end of a pipe or FIFO: who has it, and what that one does."""
    fd = (f.snap.fds or {}).get(view.wait.fd)
    if fd is None:
        return '', severity, [], [], []
    end = other_end(f, fd)
    reads = view.wait.kind == 'pipe-read'
    side = 'write' if reads else 'read'
    caveat = unseen_text(f)
    if end.word == 'others':
        rows = end.others
        names = ', '.join(process_text(f, row[0], row[3]) for row in rows[:3]) + (', ...' if len(rows) > 3 else '')
        links, idle_worker = holders_chain(f, reads, [row[0] for row in rows])
        if len({row[0] for row in rows}) > 1:
            links = tuple(link._replace(free=True) for link in links)       # another holder may end the wait
        words = 'The %s end is held by %s. %s' % (side, names, chain_sentence(links[:-1] if idle_worker else links))
        quiet = idle_worker or reads and links[-1].end in QUIET_ENDS
        ring, severity = ring_of(f, view, links, severity)
        words += ring or (' It waits for work from here.' if idle_worker else '')
        proof = [Evidence('%s has the %s end: fd %d' % (process_text(f, row[0], row[3]), side, row[1]), '%d/fd/%d' % (row[0], row[1]))
                 for row in rows[:3]]
        return (words, 'note' if quiet else severity, proof,
                ['python3 procdoc.py %d' % last_but_us(f, links).pid], [row[0] for row in rows])
    if end.word == 'self':
        mine = ', '.join('fd %d' % number_of_fd for number_of_fd in end.own[:4])
        waker = who_else_here(f, view)
        if waker:
            return ('Only the process itself has the %s end (%s): %s.' % (side, mine, waker), 'note' if reads else 'warning',
                    [Evidence('%s end: %s' % (side, mine), f.source('fd'))], [], [])
        words = ('Only the process itself has the %s end (%s): nobody else can ever %s, and it never ends.'
                 % (side, mine, 'write to it or close it' if reads else 'read from it'))
        if caveat:
            words = 'Among the processes seen, only itself has the %s end (%s); %s.' % (side, mine, caveat)
        return words, 'critical', [Evidence('%s end: %s' % (side, mine), f.source('fd'))], [], []
    if end.word == 'nobody':
        words = 'No other process that can be seen has the %s end' % side + ('; %s.' % caveat if caveat else '.')
        who = 'with CAP_SYS_PTRACE' if f.snap.reader_euid == 0 else 'as root'
        again = ('run procdoc %s: it then sees the descriptors of all processes' % who if f.snap.live else
                 'python3 procdoc.py %d on that host, %s: this snapshot may not hold the descriptors of other processes' % (f.pid, who))
        return words, severity, [], [again] if caveat else [], []
    return 'Who has the %s end was not looked for.' % side, severity, [], [], []


def who_else_here(f, view):
    """Who of this process may end a wait on its own pipe or socket pair: a signal handler (the self-pipe of event loops), or
    a thread that is not blocked itself. '' for nobody."""
    if any(other.tid != view.tid and may_go_on(other.wait, other.moved) and other.wait.fd != view.wait.fd for other in f.living):
        return 'it is a wake-up between its own threads'
    return 'a handler of its signals may write to it (a wake-up pipe)' if caught_signals(f) and view.wait.kind.endswith('read') else ''


def explain_socket(f, view, severity):
    """The connection: addresses, queues, timers, TCP's own clocks, and the peer where it is on this host."""
    fd = (f.snap.fds or {}).get(view.wait.fd)
    row = fd.socket if fd is not None else None
    if row is None:
        return '', severity, [], [], []
    more = [Evidence(socket_text(row), f.source('net/' + row.proto))]
    if row.proto.startswith('tcp'):
        return explain_tcp(f, view, severity, fd, row, more)
    if row.proto == 'unix':
        return explain_unix(f, view, severity, fd, row, more)
    asked = row.remote and row.proto.startswith('udp') and not row.remote.endswith((':0', ':*'))
    return 'Nothing has arrived for it.', severity if asked else 'note', more, [], []


def explain_tcp(f, view, severity, fd, row, more):
    """explain_socket for TCP."""
    later = by_inode(f.snap.last_sockets).get(row.inode)
    trouble = tcp_trouble(row, later)
    words = [capital(TCP_TROUBLE[trouble]) + '.'] if trouble in TCP_TROUBLE else []
    info = (f.snap.tcp_info or {}).get(row.inode) or {}
    if view.wait.kind == 'socket-read' and isinstance(info.get('last_data_recv_ms'), int):
        got = 'the last data came %s ago' % duration(info['last_data_recv_ms'] / 1000.0)
        if info.get('data_segs_in') == 0:
            got = 'no data has ever come, in %s' % duration(info['last_data_recv_ms'] / 1000.0)
        words.insert(0, got[0].upper() + got[1:] + '.')
        more.append(Evidence(got, 'sock_diag TCP_INFO'))
    if later is not None and row.retrans is not None and later.retrans is not None and later.timer:
        more.append(Evidence('timer: %s, retransmissions %d -> %d, send queue %s -> %s bytes' % (
            TCP_TIMERS.get(later.timer, later.timer), row.retrans, later.retrans, row.send_q, later.send_q), f.source('net/' + row.proto)))
    peers = socket_end(f, fd)
    pids = [pid for pid, _ in peers if pid != f.pid]
    nexts = []
    listener = listener_behind(row, tables_tcp(f.snap.sockets))
    if listener is not None:
        queued, backlog = pairs_of(f.snap.listeners).get(listener.inode, (listener.recv_q, None))
        said, proof, nexts, pids = explain_listener(f, listener.inode, queued, backlog, row.state != 'SYN_SENT')
        words = words + [said] if row.state != 'SYN_SENT' else [said]        # the other causes of repeated SYNs are ruled out
        more[1:1] = proof
    elif pids:
        links = follow(f, pids[0])
        words.append(chain_sentence(links))
        ring, severity = ring_of(f, view, links, severity)
        words[-1] += ring
        nexts.append('python3 procdoc.py %d   (the peer)' % last_but_us(f, links).pid)
    elif peers:
        words.append('The other end is in this process itself.')
    elif view.wait.kind == 'connect':
        nexts += ['from this network: nc -vz %s' % row.remote.replace(':', ' ') if row.remote else '']
    else:
        mirror = tcp_peer_on_host(row, tables_tcp(f.snap.sockets))
        if mirror is not None and not mirror.inode and mirror.state == 'ESTABLISHED':
            words.append('The peer is on this host and has not accepted the connection yet.')
        elif row.remote:
            nexts.append('look at the peer %s: it is the one that does not answer' % row.remote)
    if view.wait.kind == 'socket-read' and server_side(f, row) and severity == 'warning':
        severity = 'note'
        words.append('It is the server side: it waits for its client to ask.')
    return ' '.join(words), severity, more, nexts, pids


def explain_listener(f, inode, queued, backlog, connected):
    """Who has the listener that does not accept -> (words, evidence, next, pids)."""
    if connected:
        words = 'The peer is on this host and has not accepted the connection yet'
    else:
        words = 'The listener of that address is on this host'
    if isinstance(queued, int) and isinstance(backlog, int) and queued > backlog:
        words += ': its accept queue is full (%d of %d)' % (queued, backlog)
    elif queued:
        words += ': %s in its accept queue' % ('one is' if queued == 1 else '%s are' % queued)
    proof = [Evidence('the listener has %s to accept%s' % (people(queued, 'connection'), ', %d may wait' % backlog if isinstance(backlog, int) else ''),
                      'sock_diag')] if queued else []
    end = socket_other_end(inode, f.snap.holders, f.pid)
    mine = [fd.fd for fd in (f.snap.fds or {}).values() if fd.kind == 'socket' and fd.inode == inode]
    if not end.others:
        who = 'the listener is this process itself (fd %d)' % mine[0] if mine else 'no process that can be seen has the listener'
        return '%s; %s.' % (words, who), proof, [], []
    links = follow(f, end.others[0][0])
    proof.append(Evidence('the listener is fd %d of %s' % (end.others[0][1], process_text(f, *end.others[0][::3])), '%d/fd/%d' % tuple(end.others[0][:2])))
    return ('%s; the listener is %s.' % (words, held_by(links)), proof, ['python3 procdoc.py %d   (the listener)' % links[-1].pid],
            [row[0] for row in end.others])


def server_side(f, row):
    """Whether the connection came in: something listens on its local port."""
    return bool(listener_of(row.local, tables_tcp(f.snap.sockets)))


def explain_unix(f, view, severity, fd, row, more):
    """explain_socket for unix sockets; only sock_diag knows the peer."""
    peer = unix_peer(row.inode, f.snap.unix)
    listener = unix_listener(f, view, peer)
    if listener is not None:
        found = f.snap.unix[listener]
        words, proof, nexts, pids = explain_listener(f, listener, found['rqueue'], found['wqueue'], peer.word == 'not-accepted')
        return words, severity, more + proof, nexts, pids
    if view.wait.kind == 'connect' and peer.word != 'peer':
        return 'The accept queue of the listener is full.', severity, more, [], []
    if peer.word == 'not-accepted':
        return ('The server has not accepted the connection yet%s.' % (' (%s)' % peer.path if peer.path else ''), severity, more, [], [])
    if peer.word != 'peer':
        if row.type == 'dgram' or row.state == 'UNCONN':
            return 'Nothing has arrived for it.', 'note' if view.wait.kind == 'socket-read' else severity, more, [], []
        return 'Who its peer is could not be read.', severity, more, [], []
    peers = socket_end(f, fd)
    pids = [pid for pid, _ in peers if pid != f.pid]
    if pids:
        links = follow(f, pids[0])
        words = chain_sentence(links)
        ring, severity = ring_of(f, view, links, severity)
        words += ring
        if not ring and view.wait.kind == 'socket-read' and not peer.path and (links[-1].end in QUIET_ENDS or waits_for_work(f, links)):
            severity = 'note'           # a worker on its master's socket pair, and the master is idle
        return (words, severity, more + [Evidence('its peer is held by %s' % process_text(f, pids[0]), '%d/fd' % pids[0])],
                ['python3 procdoc.py %d   (the peer)' % last_but_us(f, links).pid], pids)
    if peers:
        waker = who_else_here(f, view)
        if waker:
            return 'The other end is in this process itself: %s.' % waker, 'note' if view.wait.kind == 'socket-read' else 'warning', more, [], []
        return 'The other end is in this process itself: nobody else can ever answer.', 'critical', more, [], []
    caveat = unseen_text(f)
    return 'No process that can be seen has the other end%s.' % ('; ' + caveat if caveat else ''), severity, more, [], []


def unix_listener(f, view, peer):
    """The inode of the listener that has a client in its queue, or lets none in; None where it is not known, or not the only one."""
    if peer.word == 'not-accepted':
        return peer.inode
    address = (view.wait.call.details or {}).get('address') if view.wait.call is not None else None
    if view.wait.kind != 'connect' or address is None:
        return None
    found = [inode for inode, row in (f.snap.unix or {}).items() if row['state'] == 'LISTEN' and row['name'] == address.host]
    return found[0] if len(found) == 1 else None


def explain_child(f, view, severity):
    """Which child it waits for, and what that one does."""
    call = view.wait.call
    wanted = signed32(call.args[0]) if call is not None and call.name in ('wait4', 'waitpid') else -1
    if call is not None and call.name == 'waitid' and call.args and call.args[0] == 1:
        wanted = signed32(call.args[1])
    children = [child for child in f.snap.children or () if wanted <= 0 or child.pid == wanted]
    comm = f.snap.stat.comm
    if not children:
        return '', 'note' if comm in SHELLS_AND_INITS else severity, [], [], []
    texts, bad, ring, ends = [], None, False, set()
    for child in children[:3]:
        links = follow(f, child.pid)
        texts.append('; '.join(link.text for link in links))
        ends.add(links[-1].end)
        ring = ring or len(children) == 1 and in_ring(f, view, links)
        if links[-1].end in ('stopped', 'disk', 'nfs', 'fuse', 'kernel', 'memory', 'vfork'):
            bad = bad or links[-1]
    words = 'Its %s: %s.' % ('child' if len(children) == 1 else '%d children' % len(children), '; '.join(texts))
    if ring:
        says, severity = ring_of(f, view, links, severity)
        words += says
    others_free = any(may_go_on(other.wait, other.moved) for other in f.living if other.tid != view.tid)
    watcher = f.runtime.name in ('go', 'jvm', 'node', 'dotnet') or any(name.endswith('_do_waitpid') for name, _, _ in f.frames.get(view.tid) or ())
    if comm in SHELLS_AND_INITS and bad is None or ends and ends <= {'accept', 'epoll'} or watcher and others_free:
        severity = 'note'
    target = bad or children[0]
    return (words, severity, [Evidence('child %d (%s) is in state %s' % (child.pid, child.comm, child.state), '%d/stat' % child.pid)
                              for child in children[:3]],
            ['python3 procdoc.py %d   (%s is what to look at)' % (target.pid, 'the child' if target.pid in [child.pid for child in children] else 'the end of the chain')],
            [child.pid for child in children[:50]])


def explain_vfork(f, view, severity):
    """The parent of vfork sleeps in D until its child has called exec or ended."""
    children = [child for child in f.snap.children or () if child.state != 'Z']
    words = 'It is in D until the child calls exec or ends; no disk is to blame.'
    if children:
        words += ' The child: %s.' % '; '.join(link.text for link in follow(f, children[-1].pid))
    return (words, severity, [], ['python3 procdoc.py %d   (the child is what hangs)' % child.pid for child in children[-1:]],
            [child.pid for child in children[-1:]])


def explain_file_lock(f, view, severity):
    """Who holds the lock: /proc/locks repeats in the waiter's line the number of the process that took it. A flock is
    the open file's, though: its taker is believed only if nobody else is seen to have it."""
    fd = (f.snap.fds or {}).get(view.wait.fd)
    inode = (fd.info or {}).get('ino') if fd is not None else None
    found = lock_holder(f.snap.locks or [], None, inode, f.pid)
    what = 'The file is %s. ' % fd.target if fd is not None and fd.target else ''
    if found is None or not found.holders:
        rows = [row for row in lockers_of(f) if row[0] != f.pid]
        if rows:
            return locker_words(f, rows[0], what, severity, [])
        return what + 'Who holds it is not in /proc/locks (another PID namespace, or an OFD lock).', severity, [], ['lslocks'], []
    holder = found.holders[0]
    source = Evidence('%s %s lock on inode %d %s pid %d' % (holder.type, holder.access, holder.inode,
                                                           'held by' if holder.type == 'POSIX' else 'taken by', holder.pid), 'locks')
    rows, gone = lockers_of(f, holder.type), taker_gone(f, holder)
    if holder.pid <= 0 or gone:
        gone = ' It was taken by %d, which %s.' % (holder.pid, gone) if gone else ''
        if rows and rows[0][0] != f.pid:
            return locker_words(f, rows[0], what, severity, [source], gone)
        if not rows:
            words = 'Who has it now was not seen.' + gone if gone else 'It is an OFD lock: its holder is not in /proc/locks.'
            return what + words, severity, [source], ['lslocks'], []
    if holder.pid == f.pid or holder.pid <= 0 or gone:
        return what + 'This process holds it itself, through another descriptor.', severity, [source], [], []
    links = follow(f, holder.pid)
    ring, severity = ring_of(f, view, links, severity)
    if links[-1].end == 'accept':
        ring, severity = ' It waits for its turn to accept.', 'note'         # an accept mutex of a prefork server
    return (what + 'It is held by %s.' % held_by(links) + ring, severity, [source],
            ['python3 procdoc.py %d   (the holder)' % last_but_us(f, links).pid], [holder.pid])


def lockers_of(f, kind=None):
    """What the search of fdinfo found to have a lock of that kind on the file: (pid, fd, target, comm, lock); others first."""
    rows = [row for row in locker_rows(f.snap.lockers) if kind is None or kind in row[4]]
    return sorted(rows, key=lambda row: row[0] == f.pid)


def taker_gone(f, lock):
    """Why the process that took a flock does not have it any more, '' where it has it or that cannot be told."""
    found = f.snap.lockers
    if lock.type != 'FLOCK' or lock.pid <= 0 or not isinstance(found, dict) or lock.pid in [row[0] for row in lockers_of(f, 'FLOCK')]:
        return ''
    others = f.snap.others or {}
    if lock.pid != f.pid and lock.pid in others and not found.get('hidden'):
        taker = others[lock.pid]
        if taker is None or taker.stat is None or taker.stat.state in 'ZX':
            return 'has ended: the descriptor was passed on before'
    return 'no longer has it: the descriptor was passed on, and closed there' if found.get('near_seen') else ''


def locker_words(f, row, what, severity, more, gone=''):
    """explain_file_lock where fdinfo has shown the holder."""
    links = follow(f, row[0])
    who = process_text(f, row[0], row[3]) if links[0].end == 'unknown' else held_by(links)
    proof = Evidence('%s holds a lock on it, fd %d' % (process_text(f, row[0], row[3]), row[1]), '%d/fdinfo/%d' % (row[0], row[1]))
    return what + 'It is held by %s.%s' % (who, gone), severity, more + [proof], ['python3 procdoc.py %d   (the holder)' % links[-1].pid], [row[0]]


def explain_disk(f, view, severity):
    """A page or block that does not come: the device, or the network file system below."""
    fd = (f.snap.fds or {}).get(view.wait.fd) if view.wait.fd is not None else None
    mount = fd_mount(f, fd)
    words = 'In D it cannot be killed until the device answers.' if view.state == 'D' else ''
    more = []
    if mount is not None:
        words = ('The file is on %s (%s from %s). ' % (mount.mountpoint, mount.fstype, mount.source)) + words
        more.append(Evidence('%s on %s' % (mount.fstype, mount.mountpoint), f.source('mountinfo')))
    return words.strip(), severity, more, ['dmesg | tail   (I/O errors, hung task messages)', 'python3 procdoc.py system'], []


def explain_remote_file(f, view, severity):
    """FUSE, NFS and their like: the server does not answer; the client only waits."""
    fd = (f.snap.fds or {}).get(view.wait.fd) if view.wait.fd is not None else None
    mount = fd_mount(f, fd)
    path = (view.wait.call.details or {}).get('path') if view.wait.call is not None else None
    if mount is None and path:
        mount = mount_of(path, f.snap.mounts or [])
    words, more = 'Its server does not answer.', []
    if mount is not None and can_hang(mount.fstype):
        words = 'The server of %s (%s, %s) does not answer.' % (mount.mountpoint, mount.fstype, mount.source)
        more = [Evidence('%s on %s' % (mount.fstype, mount.mountpoint), f.source('mountinfo'))]
    else:
        remote = sorted({row.mountpoint for row in f.snap.mounts or () if can_hang(row.fstype) and row.fstype != 'autofs'})
        if remote:
            words += ' Mounts here that can hang so: %s.' % ', '.join(remote[:4])
    nexts = ['do not touch that mount (ls, df, lsof would hang too)']
    if view.wait.kind == 'fuse':
        minor = mount.dev.rpartition(':')[2] if mount is not None and can_hang(mount.fstype) else 'N'
        servers = sorted({row[0] for row in f.snap.fuse_servers or () if row[0] != f.pid and follow(f, row[0])[0].end not in ('fuse', 'kernel', 'disk')})
        if servers:
            words += ' FUSE servers here: %s.' % '; '.join(link.text for pid in servers[:3] for link in follow(f, pid)[:1])
            more.append(Evidence('has /dev/fuse open: %s' % ', '.join(process_text(f, pid) for pid in servers[:5]), '%d/fd' % servers[0]))
        nexts += ['python3 procdoc.py %d   (the FUSE server)' % servers[0] if servers else 'look at the FUSE server process',
                  'last resort: echo 1 > /sys/fs/fuse/connections/%s/abort, or umount -f' % minor]
    else:
        nexts += ['check the file server; last resort: umount -f, or umount -l']
    return words, severity, more, nexts, []


def explain_memory(f, view, severity):
    """mmap lock, reclaim, swap-in, or a userfaultfd whose monitor does not answer."""
    if view.wait.kind == 'userfault':
        return 'A page of it is missing, and the monitor of its userfaultfd has not supplied it.', severity, [], [], []
    holders = [other for other in f.views if other.state == 'D' and other.tid != view.tid]
    words = 'It waits for the process\'s own memory map (mmap lock) or for memory to be reclaimed.'
    if holders:
        words += ' Look at %s, also in D.' % name_of(holders[0])
    return words, severity, [], [], []


def explain_kernel(f, view, severity):
    """An uninterruptible wait of no better-known kind."""
    words = 'In D it cannot be killed, and no signal reaches it.' if view.state == 'D' else ''
    if view.wait.kind == 'coredump':
        words = 'It is dumping core: wait, or look at the core_pattern helper.'
    return words, severity, [], ['cat /proc/%d/task/%d/stack   (as root)' % (f.pid, view.tid), 'dmesg | tail'], []


def explain_fifo(f, view, severity):
    """open() of a FIFO waits until somebody opens its other end."""
    details = (view.wait.call.details or {}) if view.wait.call is not None else {}
    path = details.get('path')
    side = 'a writer' if view.wait.kind == 'fifo-open' else 'a reader'
    return 'The FIFO is %s: open() returns when %s has opened it too.' % (path or 'not known (path not readable)', side), severity, [], [], []


def explain_event(f, view, severity):
    """Event descriptors are how threads and processes wake each other: mostly idle. A timer that nobody has set does
    not come, however long it is waited for."""
    fd = (f.snap.fds or {}).get(view.wait.fd)
    name = view.wait.call.name if view.wait.call is not None else ''
    if name in READS and disarmed(fd):
        return ('The timer is disarmed: unless somebody sets it, the read never returns.', 'warning',
                [Evidence('it_value 0, ticks 0', f.source('fdinfo/%d' % fd.fd))], ['find where timerfd_settime was left out or set to 0'], [])
    if name in WRITES and fd is not None and fd.kind == 'eventfd':
        count = (fd.info or {}).get('eventfd_count')
        return ('The counter of the eventfd is full: nobody reads it.', 'warning',
                [Evidence('eventfd-count %#x' % count, f.source('fdinfo/%d' % fd.fd))] if count is not None else [], [], [])
    return '', severity, [], [], []


def explain_tty(f, view, severity):
    """Who has the master of the pseudo terminal: what that one does not read, nobody can write."""
    fd = (f.snap.fds or {}).get(view.wait.fd)
    index = pty_number(fd)
    if index is None:
        return 'Its output is stopped (Ctrl-S), or the line is slow.', severity, [], [], []
    rows = [row for row in f.snap.masters if row[3] == index]
    proof = [Evidence('%s has the master: fd %d, tty-index %d' % (process_text(f, row[0], row[2]), row[1], index), '%d/fdinfo/%d' % tuple(row[:2]))
             for row in rows[:3]]
    if rows:
        links = follow(f, rows[0][0])
        words = 'The master of /dev/pts/%d is held by %s, and is not read (or Ctrl-S stopped the output).' % (index, held_by(links))
        return words, severity, proof, ['python3 procdoc.py %d' % links[-1].pid], [row[0] for row in rows]
    mine = [other.fd for other in (f.snap.fds or {}).values() if other.target in MASTERS and (other.info or {}).get('tty_index') == index]
    if mine:
        return 'This process itself has the master (fd %d): it must read it.' % mine[0], severity, [
            Evidence('fd %d: %s, tty-index %d' % (mine[0], MASTERS[0], index), f.source('fdinfo/%d' % mine[0]))], [], []
    return 'Whoever has its master does not read it, or Ctrl-S stopped the output.', severity, [], [], []


def explain_ipc(f, view, severity):
    """SysV semaphores and queues, POSIX message queues. ipcs -i takes one kind and shows who used it last; the file
    of a POSIX queue tells how full it is."""
    call, fd = view.wait.call, (f.snap.fds or {}).get(view.wait.fd)
    name = call.name if call is not None and call.name else ''
    letter = 's' if name.startswith('sem') else 'q' if name.startswith('msg') else ''
    if letter and call.args:
        return '', severity, [], ['ipcs -%s -i %d   (its last users)' % (letter, signed32(call.args[0]))], []
    if name.startswith('mq_') and fd is not None and fd.target:
        queue = fd.target.replace(' (deleted)', '').rpartition('/')[2]
        queue = queue if re.match(r'[A-Za-z0-9_.:+][-A-Za-z0-9_.:+]*\Z', queue) else 'NAME'      # it goes to a shell: no name that says more there
        return '', severity, [], ['ls -l /dev/mqueue; cat /dev/mqueue/%s   (QSIZE 0 is empty; absent: mount -t mqueue none /dev/mqueue)' % queue], []
    return '', severity, [], ['ipcs -a -p   (the last users of each queue; ipcs -s -i ID: those of a semaphore set)'], []


WAIT_EXPLAIN = {
    'pipe-read': explain_pipe, 'pipe-write': explain_pipe, 'socket-read': explain_socket, 'socket-write': explain_socket,
    'connect': explain_socket, 'child': explain_child, 'vfork': explain_vfork, 'file-lock': explain_file_lock,
    'disk': explain_disk, 'nfs': explain_remote_file, 'fuse': explain_remote_file, 'memory': explain_memory,
    'userfault': explain_memory, 'kernel': explain_kernel, 'coredump': explain_kernel, 'fifo-open': explain_fifo, 'fifo-write': explain_fifo, 'ipc': explain_ipc,
    'event': explain_event, 'tty-write': explain_tty}


# --- idle

def rule_idle(f):
    """Nothing waits for anybody outside and nobody waits for a lock: an event loop, parked
    workers, a sleep. That is how health looks, and how a lost wake-up looks too: /proc
    cannot tell these apart, only what should have happened can."""
    if f.snap.stat.is_kernel_thread or not f.living:
        return
    kinds = collections.Counter(view.wait.kind for view in f.workers)
    loops = [view for view in f.workers if view.wait.kind in ('epoll', 'poll')]
    locked = {tid for row in list(rule_lock_suspect(f)) + list(rule_gil(f)) for tid in row.tids if f.by_tid[tid].wait.kind == 'futex'} | owned_waiters(f)
    parked = [view for view in f.workers if view.wait.kind == 'futex' and view.tid not in locked]
    if sum(1 for view in parked if view.moved) * 2 > len(parked):
        parked = []                     # most of them come and go: they work
    sleepers = [view for view in f.workers if view.wait.kind == 'sleep']
    if loops:
        yield loop_finding(f, loops)
    if parked and not locked and len(parked) + kinds['sleep'] + kinds['signal'] + kinds['epoll'] + kinds['poll'] + kinds['accept'] >= len(f.workers):
        yield idle_pool_finding(f, parked)
    if sleepers and len(sleepers) + len(parked) >= len(f.workers):
        view = sleepers[0]
        yield finding('wait-sleep', 'note', 'proven' if view.wait.by == 'syscall' else 'likely',
                      '%s sleeps for a set time%s: a timer, not a hang.' % (
                          'It' if len(f.living) == 1 else capital(name_of(view)), ' (%s)' % view.text if view.text else ''),
                      wait_evidence(f, view), tids=[row.tid for row in sleepers[:50]])


def owned_waiters(f):
    """Threads that wait for a lock with a known owner: no idle worker."""
    return {tid for group in f.lock_groups if group.owner_state not in ('none', 'unknown') and group.kind != 'join' for tid in group.waiters}


def loop_finding(f, loops):
    """event-loop-idle for the main loop."""
    view = min(loops, key=lambda row: (row.tid != f.pid, row.tid))
    asked = outward_only(f, view)
    words, peers = 'idle, ready for the next event.', []
    if asked:
        words = 'all that it watches %s: if it is not idle, it waits for an answer from there.' % (
            'is a connection that it made to %s' % asked[0].socket.remote if len(asked) == 1 else
            'are %d connections that it made, to %s' % (len(asked), ', '.join(sorted({fd.socket.remote for fd in asked})[:4])))
        peers = [pid for fd in asked[:4] for pid, _ in socket_end(f, fd) if pid != f.pid]
        words += ' ' + chain_sentence(follow(f, peers[0])) if peers else ''
    return finding('event-loop-idle', 'note', 'proven' if view.wait.by == 'syscall' else 'likely',
                   '%s waits in its event loop%s: %s' % (
                       'It' if len(loops) == 1 and len(f.living) == 1 else capital(name_of(view)), ' (%s)' % view.text if view.text else '', words),
                   wait_evidence(f, view) + [Evidence('watches %s' % socket_text(fd.socket), f.source('net/' + fd.socket.proto)) for fd in asked[:4]]
                   + tasks_evidence(f), ['python3 procdoc.py %d   (the peer)' % last_but_us(f, follow(f, pid)).pid for pid in peers[:1]],
                   tids=[row.tid for row in loops[:50]])


def outward_only(f, view):
    """The connections that a loop watches, where the process made them all itself and nothing else from outside can wake it: a
    client that waits for its server looks like an idle loop. () as soon as it watches a listener, a client of its own, or
    anything whose sender is not known; its own wake-ups and timers do not count."""
    fds = f.snap.fds or {}
    loop = fds.get(view.wait.fd) if view.wait.kind == 'epoll' else None
    if loop is not None:
        watched = [member['tfd'] for member in (loop.info or {}).get('epoll') or ()]
    else:
        watched = [row[0] for row in view.wait.call.fds] if view.wait.call is not None else []
    asked = []
    for number_of_fd in watched if len(watched) <= 100 else ():         # who has thousands is no client that waits for its server
        fd = fds.get(number_of_fd)
        row = fd.socket if fd is not None else None
        if fd is not None and fd.kind in ('eventfd', 'timerfd', 'signalfd') or fd is not None and own_wake_up(f, fd):
            continue
        if row is None or not row.proto.startswith('tcp') or row.state not in ('ESTABLISHED', 'SYN_SENT') or server_side(f, row):
            return ()
        asked.append(fd)
    return tuple(asked)


def own_wake_up(f, fd):
    """A pipe or unix socket pair whose other end is in this process too."""
    rows = (f.snap.fds or {}).values()
    if fd.kind == 'pipe':
        return any(other.fd != fd.fd and other.target == fd.target for other in rows)
    peer = fd.socket.peer_inode if fd.socket is not None and fd.socket.proto == 'unix' else None
    return bool(peer) and any(other.kind == 'socket' and other.inode == peer for other in rows)


def idle_pool_finding(f, parked):
    """idle-pool."""
    view = parked[0]
    return finding('idle-pool', 'note', 'likely' if view.wait.by == 'syscall' else 'possible',
                   '%s parked in futex and nothing says that it is wrong. A lost wake-up looks the same: '
                   'if work is due, look at who should have woken them.'
                   % ('%s is' % people(1) if len(parked) == 1 else '%s are' % people(len(parked))),
                   wait_evidence(f, view), stack_command(f), tids=[row.tid for row in parked[:50]])


def rule_healthy(f):
    """The floor: it works, or sleeps for reasons that could not be read, and nothing wrong was seen."""
    if not f.living or f.snap.stat.is_kernel_thread:
        return
    running = [view for view in f.living if view.moved or view.wait.kind == 'running' and view.moved is None]
    unread = [view for view in f.living if view.wait.kind == 'unknown']
    once = running and not f.watched_s
    if once:
        text_of = 'It works: %s on a CPU, or ready for one, when it was looked at once. Nothing was watched, and nothing wrong was found.' % (
            '1 thread was' if len(running) == 1 else '%d threads were' % len(running))
    elif running:
        text_of = 'It works: %s ran during the watch, and nothing wrong was found.' % people(len(running))
    elif unread:
        text_of = 'Nothing wrong was seen, but what %s for may not be read from here.' % waits_word(len(unread))
    else:
        text_of = 'Nothing wrong was found.'
    view = (running or f.living)[0]
    nexts = ['run procdoc %s (in Kubernetes: kubectl debug --profile=sysadmin): it then sees the system calls' % more_rights(f)] if unread and not running else []
    yield finding('healthy', 'note', 'possible' if unread or once else 'likely', text_of, [still_evidence(f, view)], nexts)


# --- cpu

def rule_busy(f):
    """A thread that burns a whole CPU: in user mode a loop of the program, in kernel mode a loop
    of system calls or page faults. It may be honest work: the same stack twice says loop."""
    if not f.watched_s or f.snap.stat.is_kernel_thread:
        return
    busy = [view for view in f.living if burns(view)]
    total = sum(view.cpu_pct or 0 for view in f.living)
    if not busy and total >= 80 and len(f.living) > 1:
        busy = [view for view in f.living if (view.cpu_pct or 0) >= 5]
    if not busy:
        return
    view = max(busy, key=lambda row: row.cpu_pct)
    kernel = (view.system_pct or 0) > (view.user_pct or 0)
    verb = 'have' if len(busy) > 1 else 'has'
    waited = sum(row.run_delay_pct or 0 for row in busy)        # the rest of a loop's time, where others want the CPU too
    waited = waited if waited >= 10 else 0
    summary = '%s %s run%s for the whole watch (%.0f %% of a CPU%s), %s: %s.' % (
        'It' if len(f.living) == 1 else capital(name_of(view)) if len(busy) == 1 else people(len(busy)) + ' together',
        verb, ' or waited for a CPU' if waited else '', sum(row.cpu_pct or 0 for row in busy),
        ', %.0f %% waiting for one' % waited if waited else '', 'most of it in the kernel' if kernel else 'most of it in its own code',
        'a loop of system calls or page faults' if kernel else 'a loop, or honest work')
    summary = summary[:-1] + frame_place(f.frames.get(view.tid)) + '.'
    evidence = [Evidence('utime +%.0f %%, stime +%.0f %% in %.1f s, states %s' % (
        view.user_pct or 0, view.system_pct or 0, f.watched_s, view.strip), f.source('stat', view.tid))]
    if waited and view.run_delay_pct:
        evidence.append(Evidence('runnable, and waited for a CPU %.0f %% of the watch' % view.run_delay_pct, f.source('schedstat', view.tid)))
    yield finding('busy-kernel' if kernel else 'busy-user', 'warning', 'proven', summary, evidence,
                  stack_command(f, view.tid) if not kernel else ['perf top -p %d   (or: strace -c -p %d)' % (f.pid, f.pid)],
                  tids=[row.tid for row in busy])


def burns(view):
    """It used what CPU it could get: 80 %, or was seen running each time and had to share."""
    used = view.cpu_pct or 0
    return used >= 80 or (used >= 5 and set(view.strip) <= {'R'})


# --- descriptors

def open_files_limit(f):
    """(soft, hard) of Max open files, None where unknown or unlimited."""
    row = limit_row(f, 'Max open files')
    return (row.soft, row.hard) if row is not None else (None, None)


def limit_row(f, name):
    """One row of limits."""
    return (f.snap.limits or {}).get(name)


def rule_fds(f):
    """Descriptors against the soft limit: at the limit, open, accept and socket fail with EMFILE,
    and a server that retries accept spins or stalls. A leak is many on one target."""
    soft, hard = open_files_limit(f)
    count = f.snap.fd_count
    if not count:
        return
    groups = f.fd_groups
    evidence = [Evidence('%d descriptors open' % count, f.source('fd'))]
    if isinstance(soft, int) and soft > 0:
        evidence.append(Evidence('Max open files %d (soft), %s (hard)' % (soft, hard if hard is not None else 'unlimited'), f.source('limits')))
        top = groups[0] if groups else None
        most = '; %d of them are %s' % (top.count, top.target) if top is not None and top.count > 1 else ''
        if count >= soft:
            yield finding('fd-exhausted', 'critical', 'proven',
                          'No descriptor is left: %d of %d are open%s. open, accept and socket fail with EMFILE.' % (count, soft, most),
                          evidence, [raise_open_files(f.pid, soft, hard)])
        elif count * 2 >= soft:
            yield finding('fd-high', 'warning', 'proven', '%d of %d descriptors are open (%d %%)%s.' % (count, soft, 100 * count // soft, most),
                          evidence)
    yield from leak_findings(f, groups, count, soft, evidence)


def raise_open_files(pid, soft, hard):
    """The command for four times the soft limit. The kernel takes no soft limit above the hard one, and raising that is root's."""
    wanted = soft * 4
    above = isinstance(hard, int) and wanted > hard
    shown = max(hard, wanted) if isinstance(hard, int) else 'unlimited'
    return 'find the leak below, then: prlimit --pid %d --nofile=%d:%s%s' % (pid, wanted, shown, '   (as root: it raises the hard limit too)' if above else '')


def leak_findings(f, groups, count, soft, evidence):
    """fd-leak and close-wait-leak."""
    grown = difference(f.snap.last_fd_count, count)
    for group in groups[:1]:
        growing = bool(grown and grown >= 10 and count >= 64 and group.count * 2 >= count)
        if not growing and (not leaky(group, count, soft) or in_use(f, group)):
            continue
        words = 'all' if group.count == count else '%d of %d' % (group.count, count)
        more = [Evidence('%d x %s' % (group.count, group.target), f.source('fd'))]
        if grown:
            more.append(Evidence('%d more were opened in %.1f s' % (grown, f.watched_s), f.source('fd')))
        what = 'files of one folder' if group.target.endswith('/*') else 'of one kind' if kind_only(group) else 'one target'
        name = {'in no table': 'sockets that are in no table of net/ (not connected, or of another kind)'}.get(group.target, group.target)
        yield finding('fd-leak', 'warning', 'likely' if leaky(group, count, soft) else 'possible', '%s descriptors are %s%s, %s: opened and never closed?' % (
                          capital(words), '' if what == 'of one kind' else 'on ', what, name),
                      more + evidence[:1], ['ls -l /proc/%d/fd | tail   (the newest ones)' % f.pid])
    groups = close_wait_groups(list(f.snap.fds.values()))
    closed = sum(group.count for group in groups)
    if closed >= 10 or (closed and closed * 4 >= count):
        where = ', most %s' % groups[0].target if groups[0].count * 2 > closed else ''
        if len(groups) == 1:
            where = ' ' + groups[0].target
        yield finding('close-wait-leak', 'warning', 'proven' if closed >= 10 else 'likely',
                      '%s in CLOSE_WAIT%s: the peer has closed, this process has not. It forgot to close, or hangs before it.'
                      % (people(closed, 'connection'), where),
                      [Evidence('%d in CLOSE_WAIT, fd %s' % (closed, ', '.join(map(str, groups[0].fds[:5]))), f.source('net/tcp'))],
                      ['find the client code that never closes (a missing close, or with-block), or what keeps it from reading the end'])


def kind_only(group):
    """The group has no target in common, only what it is: pipes, timers, sockets without a name."""
    return group.kind in ('pipe', 'unknown') or group.target == group.kind or group.target in ('in no table', 'unix (no name)')


def in_use(f, group):
    """Most of the group are in the process's epoll sets or polls: held on purpose. Not asked of connections to one
    address: Go and Node put every socket into their loop, the leaked ones too."""
    if group.kind == 'socket' and not kind_only(group):
        return False
    watched = {member['tfd'] for fd in f.snap.fds.values() for member in (fd.info or {}).get('epoll') or ()}
    for view in f.living:
        if view.wait.call is not None:
            watched.update(row[0] for row in view.wait.call.fds or ())
    return sum(1 for fd in group.fds if fd in watched) * 2 >= group.count


def leaky(group, count, soft):
    """Many on one target, as far as that says something: pipes, anonymous inodes and unix sockets
    without a name are no target, and a server's clients come from many ports."""
    if group.kind in ('pipe', 'unknown', 'device', 'tty') or group.target.endswith('/*'):
        return group.count >= 500
    return group.count >= 100 or (group.count >= 30 and isinstance(soft, int) and group.count * 2 >= soft)


MEMORY_LIMITS = ('Max address space', 'Max data size', 'Max locked memory')


def rule_memory_rlimits(f):
    """The process's own limits of memory (ulimit -v, -d, -l): at them mmap, brk or mlock fail with ENOMEM, and the program gives
    up, retries for ever or waits for memory that never comes. No control group and no OOM killer is in it."""
    used = limits_usage(f.snap.status or {}) if f.snap.limits else {}
    for row in limits_report(f.snap.limits or {}, used):
        if row['name'] not in MEMORY_LIMITS or row['used_pct'] is None or row['used_pct'] < 97 or row['used'] < 1 << 20:
            continue
        left = max(0, row['soft'] - row['used'])
        yield finding('memory-limit', 'warning', 'proven', '%s is used up to %.1f %% (%s left of %s): %s.' % (
            row['name'].replace('Max ', 'Its limit of ') + ' (ulimit -%s)' % row['letter'], row['used_pct'], bytes_text(left), bytes_text(row['soft']), row['hits']),
            [Evidence('%s %d (soft), in use %d' % (row['name'], row['soft'], row['used']), f.source('limits'))],
            ['prlimit --pid %d   (its limits; prlimit --pid %d --%s=SOFT:HARD changes one)' % (
                f.pid, f.pid, {'v': 'as', 'd': 'data', 'l': 'memlock'}[row['letter']])])


def rule_accept_queue(f):
    """Clients have connected, and the process does not accept them: they wait in the listen queue,
    and when it is full, new ones get no answer at all."""
    rows = tables_tcp(f.snap.sockets)
    later_rows = by_inode(f.snap.last_sockets)
    for fd in sorted_fds(f):
        row = fd.socket
        if row is None or row.state != 'LISTEN' or not row.recv_q:
            continue
        later = later_rows.get(row.inode)
        again = later.recv_q if later is not None else None
        if again is not None and again < row.recv_q:
            continue
        if row.proto == 'unix':
            full, backlog = row.backlog is not None and row.recv_q > row.backlog, row.backlog
        else:
            queue = accept_queue(row, rows, None, later)
            full, backlog = queue.word == 'full', queue.backlog
        if not f.watched_s and not full:
            continue
        sure = 'possible' if not full else 'proven' if backlog is not None and again is not None else 'likely'
        slow = any(view.moved and view.voluntary for view in f.living)      # one that spins without a pause does not accept
        row_found = finding('accept-queue-full', 'critical' if full and not slow else 'warning', sure,
                      '%s on %s wait%s to be accepted%s, and the process %s.' % (
                          people(row.recv_q, 'connection'), row.local or row.path, 's' if row.recv_q == 1 else '',
                          ' (the queue of %d is full: new clients get no answer)' % backlog if full and backlog is not None
                          else ' (the queue is full)' if full else '',
                          'runs, but accepts none of them or more slowly than they come' if slow else 'does not accept them'),
                      [Evidence('Recv-Q %d%s' % (row.recv_q, ' -> %s' % again if again is not None else ''), queue_source(f, row))],
                      stack_command(f))
        yield row_found if full else row_found._replace(rank=RANK['unread-input'])      # a symptom: the cause is what keeps it from accept


def queue_source(f, row):
    """Where a queue's length is from: net/unix has none."""
    return 'sock_diag' if row.proto == 'unix' else f.source('net/' + row.proto)


def sorted_fds(f):
    """All descriptors, ascending; a socket held twice comes once."""
    seen, rows = set(), []
    for _, fd in sorted((f.snap.fds or {}).items()):
        if fd.kind == 'socket' and fd.inode in seen:
            continue
        seen.add(fd.inode)
        rows.append(fd)
    return rows


def rule_unread_input(f):
    """Data has arrived in a socket and nothing reads it for the whole watch: the thread that should
    is blocked elsewhere. The peer sees a service that does not answer."""
    if not f.watched_s:
        return
    later_rows = by_inode(f.snap.last_sockets)
    read_now, unread = {view.wait.fd for view in f.living if view.wait.kind == 'socket-read'}, []
    for fd in sorted_fds(f):
        row = fd.socket
        if row is None or row.state == 'LISTEN' or not row.recv_q or row.proto not in ('tcp', 'tcp6', 'udp', 'udp6', 'unix'):
            continue
        later = later_rows.get(row.inode)
        if later is None or later.recv_q is None or later.recv_q < row.recv_q:
            continue
        if row.state == 'CLOSE_WAIT' and row.recv_q <= 1:
            continue
        if fd.fd in read_now:
            continue
        unread.append((fd, row, later))
    if unread:
        fd, row, later = max(unread, key=lambda found: found[1].recv_q)
        many = '' if len(unread) == 1 else '%d sockets hold input that nothing reads: ' % len(unread)
        yield finding('unread-input', 'warning', 'proven',
                      '%s%d bytes wait in fd %d (%s) and nothing has read them in %.1f s.' % (many, row.recv_q, fd.fd, socket_text(row), f.watched_s),
                      [Evidence('Recv-Q %d -> %d' % (row.recv_q, later.recv_q), queue_source(f, row))], stack_command(f))


# --- files

def rule_deleted(f):
    """Files that were deleted while open: their space is held until they are closed, and what is
    written to them is lost. An executable that was replaced runs on in its old version."""
    exe = f.snap.exe
    if exe and exe.endswith(' (deleted)') and not exe.startswith('/memfd:'):
        yield finding('deleted-exe', 'warning', 'proven',
                      'Its executable %s was deleted or replaced while it runs: the file on disk is not what runs.' % exe[:-10],
                      [Evidence('exe -> %s' % exe, f.source('exe'))],
                      ['restart it to run the new version', 'python3 procdoc.py recover %d exe -o /tmp/exe.%d' % (f.pid, f.pid)])
    deleted = [fd for fd in (f.snap.fds or {}).values() if fd.deleted and not scratch(f, fd)]
    if f.snap.fd_sizes is not None:
        deleted = [fd for fd in deleted if fd.fd in f.snap.fd_sizes]
    if deleted:
        sizes = {fd.fd: (f.snap.fd_sizes or {}).get(fd.fd) for fd in deleted}
        total = sum(size for size in sizes.values() if size)
        first = max(deleted, key=lambda fd: sizes[fd.fd] or 0)
        yield finding('deleted-file', 'warning' if total >= 1 << 20 or written(first) else 'note', 'proven',
                      '%s deleted but still open: fd %d, %s%s.' % (
                          '1 file is' if len(deleted) == 1 else '%d files are' % len(deleted), first.fd, first.target[:-10],
                          '; %s of disk space in all are held' % size_text(total) if total else ''),
                      [Evidence('fd %d -> %s%s' % (fd.fd, fd.target, ', %s' % size_text(sizes[fd.fd]) if sizes[fd.fd] is not None else ''),
                                f.source('fd/%d' % fd.fd)) for fd in deleted[:4]],
                      ['python3 procdoc.py recover %d %d -o /tmp/recovered' % (f.pid, first.fd)])


def scratch(f, fd):
    """A small deleted file in a temporary folder is how programs make scratch space: no fault in that."""
    size = (f.snap.fd_sizes or {}).get(fd.fd)
    if re.match(r'.*/#\d+ \(deleted\)$', fd.target):
        return True                     # O_TMPFILE: it never had a name
    return fd.target.startswith(('/tmp/', '/var/tmp/', '/dev/shm/', '/run/')) and (size or 0) < 1 << 20


def written(fd):
    """Open for writing."""
    flags = (fd.info or {}).get('flags')
    return flags is not None and flags & 3 in (1, 2)


def size_text(size):
    """'8.0 MiB'"""
    size = float(size or 0)
    for unit in ('B', 'KiB', 'MiB', 'GiB', 'TiB'):
        if size < 1024 or unit == 'TiB':
            return '%d B' % size if unit == 'B' else '%.1f %s' % (size, unit)
        size /= 1024


NOT_STALE = ('/memfd:', '/dev/zero', '/SYSV', '/[aio]', '/dev/shm/', '/i915', '/drm', '/dev/', '/anon_hugepage')


def rule_stale_libs(f):
    """Mapped libraries that were replaced on disk (an upgrade): the process runs the old ones, and
    new threads, plugins or forked helpers may mix both."""
    exe = (f.snap.exe or '').replace(' (deleted)', '')
    stale = []
    for row in f.snap.maps or ():
        if row.path.endswith(' (deleted)') and 'x' in row.perms and not row.path.startswith(NOT_STALE):
            path = row.path[:-10]
            if path != exe and path not in stale and replaced(f, path):
                stale.append(path)
    if stale:
        yield finding('stale-libs', 'warning', 'proven',
                      '%s replaced on disk while in use (%s%s): restart it to use the new ones.' % (
                          '1 library was' if len(stale) == 1 else '%d libraries were' % len(stale), stale[0], ', ...' if len(stale) > 1 else ''),
                      [Evidence('mapped, but deleted: %s' % path, f.source('maps')) for path in stale[:3]])


def replaced(f, path):
    """A new file stands at the path. Where that could not be asked, a deleted library in a temporary folder is
    taken for one that its program unpacked and removed itself (JNA, Netty)."""
    if f.snap.replaced is not None:
        return path in f.snap.replaced
    return not path.startswith(('/tmp/', '/var/tmp/', '/run/'))


# --- children, and the program's special cases

def rule_unreaped(f):
    """Children that have ended and whose exit status nobody collects: each holds a pid. A parent
    that never calls wait leaks them until the pid limit."""
    dead = [child for child in f.snap.children or () if child.state == 'Z']
    if not dead:
        return
    waits = any(view.wait.kind == 'child' for view in f.living)
    names = ', '.join('%d (%s)' % (child.pid, child.comm) for child in dead[:4])
    yield finding('unreaped-children', 'warning' if len(dead) >= 3 or f.watched_s else 'note', 'proven',
                  '%s not been collected: %s%s.' % ('1 child has ended and has' if len(dead) == 1 else '%d children have ended and have' % len(dead),
                                                    names, ', ...' if len(dead) > 4 else ''),
                  [Evidence('state Z', '%d/stat' % child.pid) for child in dead[:3]],
                  [] if waits else ['the program must call wait(), or ignore SIGCHLD; in a container, run an init (tini, docker run --init)'],
                  pids=[child.pid for child in dead[:200]])


def rule_postgres(f):
    """A PostgreSQL backend writes what it does into its title: 'UPDATE waiting' waits for a lock of
    another backend. The kernel sees only an event loop."""
    title = (f.snap.argv or [''])[0] if f.runtime.name == 'postgres' else ''
    if title.endswith(' waiting'):
        yield finding('lock-suspect', 'critical', 'likely',
                      'Its title says "%s": this backend waits for a lock that another backend holds.' % title,
                      [Evidence('title: %s' % title, f.source('cmdline'))],
                      ['psql -c "select pid, pg_blocking_pids(pid), query from pg_stat_activity where wait_event_type = \'Lock\'"'])


RULES = (rule_ended, rule_zombie, rule_zombie_leader, rule_kernel_thread, rule_stopped, rule_traced, rule_deadlock, rule_lock_orphaned,
         rule_lock_held, rule_gil, rule_event_loop_blocked, rule_lock_suspect, rule_waits, rule_idle, rule_busy, rule_fds, rule_memory_rlimits, rule_accept_queue, rule_unread_input,
         rule_deleted, rule_stale_libs, rule_unreaped, rule_postgres, rule_healthy)


# ROOM VERDICT =================================================================
# Run the rules, each fenced from the others' bugs, rank, weigh. The first finding
# is the verdict. To change what comes first: RANK in RULES.


def signs_of(f):
    """What the process itself shows over the watch: the control-group rules ask for it."""
    snap = f.snap
    used = [view.cpu_pct for view in f.views if view.cpu_pct is not None]
    delays = [cpu_wait(f, view) for view in f.views]
    delay, by, ran, slow = max([row for row in delays if row[0] is not None] or [(None, None, None, None)], key=lambda row: row[0] or 0)
    running = [view.tid for view in f.living if set(view.strip) <= {'R'}]
    return {'pid': f.pid, 'watched_s': f.watched_s or None,
            'cpu_s': sum(used) / 100.0 * f.watched_s if used and f.watched_s else None,
            'run_delay_s': delay, 'run_delay_by': by, 'run_s': ran, 'run_delay_tid': slow if delay else None,
            'timeslices': slices_of(f, running), 'running_tids': running, 'seen_running': any('R' in view.strip for view in f.living),
            'wchans': {view.tid: view.thread.wchan for view in f.living},
            'stacks': {view.tid: view.thread.stack for view in f.living if view.thread.stack},
            'policy': snap.stat.policy, 'nice': snap.stat.nice,
            'majflt': sum(view.majflt or 0 for view in f.views) if f.watched_s else None, 'stalled': any('D' in view.strip for view in f.living),
            'VmSwap_kB': status_number(snap.status, 'VmSwap')}


def slices_of(f, tids):
    """How often these threads were put on a CPU during the watch; None where that is not known."""
    grown = []
    for tid in tids:
        thread = f.by_tid[tid].thread
        if not thread.schedstat or not thread.last_schedstat or len(thread.schedstat) < 3 or len(thread.last_schedstat) < 3:
            return None
        grown.append(difference(thread.last_schedstat[2], thread.schedstat[2]) or 0)
    return sum(grown) if grown else None


def cpu_wait(f, view):
    """(seconds a thread was runnable and did not run, the file that says so, seconds it ran, tid). The kernel adds a wait to
    schedstat when it ends: of one that lasts yet, the looks tell, R at each to the last and no tick used."""
    thread = view.thread
    delay = view.run_delay_pct / 100.0 * f.watched_s if view.run_delay_pct is not None else None
    ran = difference(thread.last_schedstat[0], thread.schedstat[0]) if thread.schedstat and thread.last_schedstat else None
    rows = [(0, thread.stat.state, thread.stat.ticks)] + [
        (ms, look.state, (look.utime or 0) + (look.stime or 0)) for ms, look in zip(f.snap.looks_ms, thread.looks)]
    first = len(rows)
    while first and rows[first - 1][1:] == ('R', rows[-1][2]):
        first -= 1
    pending = (rows[-1][0] - rows[first][0]) / 1000.0 if len(rows) - first > 3 else 0
    if pending > (delay or 0):
        return pending, 'stat', None if ran is None else ran / 1e9, view.tid
    return delay, 'schedstat', None if ran is None else ran / 1e9, view.tid


def host_signs(f):
    """What the host shows over the watch, for the same rules."""
    first, last = f.snap.host or {}, f.snap.last_host or {}
    load = last.get('loadavg') or first.get('loadavg')
    pressure = {}
    for name in ('cpu', 'memory', 'io'):
        values = first.get('pressure/' + name)
        if values:
            pressure[name] = pressure_growth(values, last.get('pressure/' + name) or {}, f.watched_s or None)
    cpuinfo = first.get('cpuinfo') or {}
    return {'pswpin': None, 'runnable': load.runnable if load is not None else None, 'cpus': cpuinfo.get('count') or None,
            'pressure': pressure or None}


def group_findings(f):
    """The control-group rules, and the frozen state that the wait channel alone tells."""
    facts = f.cgroup
    found = []
    if facts is not None:
        for row in cgroup_findings(facts, signs_of(f), host_signs(f)):
            found.append(finding(row.code, row.severity, row.confidence, sentence(row.summary), row.evidence, row.next, row.tids, row.pids))
    frozen = [view for view in f.living if view.wait.kind == 'freezer']
    if frozen and not any(row.code == 'frozen' for row in found):
        found.append(finding('frozen', 'critical', 'likely', 'It is frozen (cgroup freezer, docker pause, or a suspend): nothing runs until it is thawed.',
                             wait_evidence(f, frozen[0]), ['docker unpause / crictl, or: echo 0 > .../cgroup.freeze   (v1: echo THAWED > freezer.state)'],
                             tids=[view.tid for view in frozen[:50]]))
    oom = [view for view in f.living if view.wait.kind == 'oom']
    if oom and not any(row.code == 'cgroup-oom' for row in found):
        found.append(finding('cgroup-oom', 'critical', 'likely', 'It waits in D for memory that its cgroup does not have: the limit is reached and nothing is killed.',
                             wait_evidence(f, oom[0]), ['raise the memory limit of its cgroup'], tids=[view.tid for view in oom[:50]]))
    return found


def sentence(words):
    """A capital at the start and a full stop at the end."""
    words = words[:1].upper() + words[1:]
    return words if words.endswith('.') else words + '.'


def signal_findings(f):
    """signal-blocked, from the masks of all threads."""
    snap = f.snap
    threads = {tid: thread.status for tid, thread in (snap.threads or {}).items() if thread.status}
    if not snap.status or not threads:
        return []
    states = {view.tid: view.state for view in f.views}
    facts = signal_facts(snap.status, threads, states)
    persists = None
    if snap.last_status:
        persists = snap.last_status.get('ShdPnd') == snap.status.get('ShdPnd')
    masks = [fd.info['sigmask'] for fd in (snap.fds or {}).values() if fd.kind == 'signalfd' and fd.info and fd.info.get('sigmask')]
    taken = [n + 1 for mask in masks for n in range(64) if mask >> n & 1]
    return [finding(row.code, row.severity, row.confidence, sentence(row.summary), row.evidence, row.next, row.tids, row.pids)
            for row in rule_signal_blocked(facts, f.pid, persists, taken)]


def diagnose(snap):
    """Snapshot -> (Facts, findings): worst first, never empty; a rule that raises is a gap."""
    f = link(snap)
    f.cgroup = fenced(f, 'cgroup_facts', lambda: [cgroup_facts(snap.cgroup, snap.last_cgroup, f.watched_s or None)] if snap.cgroup else [None])[0]
    found = []
    for rule in RULES + (group_findings, signal_findings):
        found += fenced(f, rule.__name__, lambda: list(rule(f)))
    return f, ranked(f, found)


def fenced(f, name, work):
    """work()'s list; a bug in it costs this one rule, and is said under NOT READ."""
    try:
        return work()
    except Exception as error:
        if os.environ.get('PROCDOC_DEBUG'):
            raise
        f.gaps['rule ' + name] = 'BUG %s: %s' % (type(error).__name__, str(error)[:80])
        return [None] if name == 'cgroup_facts' else []


INCIDENTAL = frozenset('cgroup-oom cpu-throttled swapping memory-limit pressure signal-blocked deleted-file pids-limit'.split())


def ranked(f, found):
    """Worst first. healthy only where nothing else is said, or where it works and all else is a note."""
    if any(row.code == 'ended' for row in found):
        return [row for row in found if row.code == 'ended']
    busy = sum(view.cpu_pct or 0 for view in f.views) >= 5
    others = [row for row in found if row.code != 'healthy']
    working = busy and all(row.severity == 'note' for row in others)
    if others and not working:
        found = others

    def order(row):
        rank = RANK['event-loop-idle'] - 0.5 if row.code == 'healthy' and working else row.rank
        if row.severity == 'note' and row.code in INCIDENTAL:
            rank += 100                 # true, but not what the process does
        return (SEVERITIES.index(row.severity), rank, -len(row.tids))
    found = sorted(found, key=order)
    kept, counts = [], {}
    for row in found:
        counts[row.code] = counts.get(row.code, 0) + 1
        if counts[row.code] <= 4:
            kept.append(row)
    if not kept:
        kept.append(finding('healthy', 'note', 'possible', 'Nothing wrong was found in what could be read.'))
    return kept


def exit_status(findings):
    """0 nothing wrong; 1 a warning or worse."""
    return 1 if any(row.severity in ('critical', 'warning') for row in findings) else 0


# ROOM REPORT ==================================================================
# Findings and facts -> text or JSON. Decides nothing; the only room that knows of
# width and colour. Each line goes through safe() once, on its way out: a foreign
# string can neither break out of its line nor reach the terminal raw.
# To add a line: the section_* function of its section. To add a section: a
# function, and its row in SECTIONS.

WIDTH = 80
PARAGRAPHS = 2000           # the longest that one item may grow before it is cut


class Line(NamedTuple):
    """One item of the report before it is wrapped: indent, words, and how to colour it."""
    words: str
    indent: int = 2
    style: str = ''
    hang: int = 2
    source: str = ''


def local_time(epoch):
    """UTC, as a ticket is read elsewhere."""
    if not isinstance(epoch, (int, float)) or not 0 <= epoch < 1e11:
        return 'unknown time'
    return time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(epoch))


def iso_time(epoch):
    """ISO 8601, UTC."""
    if not isinstance(epoch, (int, float)) or not 0 <= epoch < 1e11:
        return None
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(epoch))


def started_at(snap):
    """(epoch of the start or None, age in seconds or None): field 22 against uptime and btime."""
    host = snap.host or {}
    uptime = (host.get('uptime') or (None,))[0]
    start = snap.stat.starttime
    if start is None:
        return None, None
    since_boot = start / float(snap.clk_tck)
    btime = (host.get('stat') or {}).get('btime')
    return (btime + since_boot if btime else None,
            max(0.0, uptime - since_boot) if uptime is not None else None)


def command_text(snap):
    """The command line, or comm in brackets where there is none."""
    if snap.argv:
        return ' '.join(word if word else "''" for word in snap.argv)
    return '[%s]' % snap.stat.comm


def user_text(snap, letter, name):
    """'root (0)'"""
    ids = status_ids(snap.status, name)
    if not ids:
        return None
    known = (snap.names or {}).get('%s%d' % (letter, ids[0]))
    return '%s (%d)' % (known, ids[0]) if known else str(ids[0])


def section_process(f):
    """Who it is."""
    snap, stat = f.snap, f.snap.stat
    yield Line('command   %s' % command_text(snap), hang=12, source='cmdline')
    yield Line('exe       %s' % (snap.exe or ('none: a kernel thread or a zombie has none' if not f.living or snap.stat.is_kernel_thread else 'not readable from here' if snap.live else 'not in the snapshot')), hang=12, source='exe')
    if snap.maps or snap.exe:
        yield Line('runtime   %s%s' % (f.runtime.label, runtime_version(f)), source='maps, exe')
    if snap.cwd or snap.root:
        yield Line('cwd       %s%s' % (snap.cwd or '?', '   root %s' % snap.root if snap.root not in (None, '/') else ''), hang=12, source='cwd')
    user, group = user_text(snap, 'u', 'Uid'), user_text(snap, 'g', 'Gid')
    if user:
        login = '   login uid %s' % snap.loginuid if snap.loginuid not in (None, 4294967295) else ''
        yield Line('user      %s   group %s%s' % (user, group or '?', login), source='status')
    epoch, age = started_at(snap)
    yield Line('started   %s%s' % (local_time(epoch), ', %s ago' % duration(age) if age is not None else ''), source='stat')
    chain = ' <- '.join('%d (%s)' % (parent.pid, parent.comm) for parent, _ in snap.parents)
    yield Line('parents   %s' % (chain or ('ppid %s' % known(stat.ppid))), hang=12, source='stat')
    if snap.children:
        shown = ', '.join('%d (%s) %s' % (child.pid, child.comm, child.state) for child in snap.children[:6])
        yield Line('children  %d: %s%s' % (len(snap.children), shown, ', ...' if len(snap.children) > 6 else ''), hang=12, source='stat')
    terminal = 'tty %s' % tty_name(stat.tty_nr) if stat.tty_nr else 'tty unknown' if stat.tty_nr is None else 'no tty'
    yield Line('session   %s, group %s, %s' % (known(stat.session), known(stat.pgrp), terminal), source='stat')
    yield Line('priority  %s, nice %s%s' % (policy_name(stat.policy), known(stat.nice), ', rt priority %d' % stat.rt_priority if stat.rt_priority else ''), source='stat')
    if snap.oom_score is not None:
        yield Line('oom       score %s, adjustment %s' % (snap.oom_score, known(snap.oom_score_adj)), source='oom_score')
    if snap.environ:
        yield from environment_lines(snap)
    yield from limit_lines(f)


def runtime_version(f):
    """' 3.11.7' of Python."""
    version = (f.python or {}).get('version')
    return ' %s' % version if version else ''


def environment_lines(snap):
    """Names of all variables; values of the harmless ones, the rest was masked at reading."""
    length = 4000 if snap.full else 60
    shown = [cut('%s=%s' % (name, value), length) for name, value in snap.environ if value not in (None, '****')]
    hidden = [name for name, value in snap.environ if value in (None, '****')]
    most = 400 if snap.full else 8
    if shown:
        yield Line('environ   %s%s' % ('  '.join(shown[:most]), '  ... (%d more: --full)' % (len(shown) - most) if len(shown) > most else ''), hang=12, source='environ')
    if hidden:
        yield Line('          masked: %s%s' % (' '.join(hidden[:most]), ' ... (%d more)' % (len(hidden) - most) if len(hidden) > most else ''), hang=12)


def limit_lines(f):
    """The rlimits that are near or low; all of them with --full."""
    rows = limits_report(f.snap.limits or {}, limits_usage(f.snap.status or {}, f.snap.fd_count))
    for row in rows:
        near = row['used_pct'] is not None and row['used_pct'] >= 50 and row['name'] != 'Max stack size'
        if f.snap.full or near:
            used = '%s used of ' % row['used'] if row['used'] is not None else ''
            yield Line('limit     %s: %s%s %s (ulimit -%s); at the limit: %s' % (
                row['name'][4:], used, row['soft'], row['units'], row['letter'], row['hits']), hang=12, source='limits')


def known(value):
    """A value, or '?': never a 0 for what was not read."""
    return '?' if value is None else value


def kB_text(kB):
    """'8.0 MiB' of a figure in kB, '?' where it is not known."""
    return '?' if kB is None else size_text(kB * 1024)


def tty_name(tty_nr):
    """34816 -> pts/0: major 136 up are pts, 4 is the consoles."""
    major, minor = tty_nr >> 8 & 0xfff, tty_nr & 0xff | tty_nr >> 12 & 0xfff00
    if 136 <= major <= 143:
        return 'pts/%d' % (minor + (major - 136) * 256)
    return 'tty%d' % minor if major == 4 else '%d:%d' % (major, minor)


def policy_name(policy):
    """SCHED_OTHER and its like."""
    return SCHED_POLICIES[policy][0] if policy in SCHED_POLICIES else 'unknown policy' if policy is None else 'policy %s' % policy


def section_state(f):
    """What the state means and what it excludes."""
    stat = f.snap.stat
    row = state_row(stat.state)
    if stat.state in 'ZX' and f.living:
        yield Line('Z  of the main thread only: it has ended, the process has not; see THREADS', hang=5, source='stat')
        row = None
    if f.verdict.code in ('frozen', 'kernel-thread'):
        row = None if row is None else row[:3] + ('',)
    yield Line('%s  %s' % (stat.state, '%s: %s' % (row[1], row[2]) if row is not None else 'see above' if f.living else 'a state that this tool does not know'), hang=5, source='stat')
    if row is not None and row[3] and not (len(f.views) > 1 and any(view.moved for view in f.views)):
        yield Line(row[3], indent=5, hang=0)
    tracer = status_number(f.snap.status, 'TracerPid')
    if tracer:
        yield Line('traced by pid %d' % tracer, source='status')
    counts = collections.Counter(view.state for view in f.views)
    if len(f.views) > 1:
        yield Line('threads: %s' % ', '.join('%d in %s' % (count, state) for state, count in sorted(counts.items())), source='task/*/stat')


def section_waiting(f):
    """What the thread that matters waits in, and what that means."""
    view = main_view(f)
    if view is None:
        yield Line('nothing: no living thread')
        return
    if len(f.views) > 1:
        yield Line('%s:' % name_of(view))
    if view.wait.kind == 'running':
        yield Line('nothing: it runs, or waits for a CPU', source='task/%d/stat' % view.tid)
    if view.text:
        yield Line('syscall   %s' % view.text, hang=12, source='task/%d/syscall' % view.tid)
    elif f.gap('syscall') or f.gaps.get('proc/%d/task/%d/syscall' % (f.pid, view.tid)):
        yield Line('syscall   not readable from here')
    channel = view.thread.wchan
    row = wchan_row(channel) if channel else None
    if channel not in (None, '0'):
        yield Line('wchan     %s%s' % (channel, ': ' + row.text if row is not None else ''), hang=12, source='task/%d/wchan' % view.tid)
    elif channel == '0' and view.wait.kind not in ('running', 'exit'):
        yield Line('wchan     0: the kernel gives no answer (not permitted, or a kernel of 4.14 to 5.15)', hang=12, source='task/%d/wchan' % view.tid)
    if view.thread.stack:
        yield Line('stack     %s' % ' < '.join(view.thread.stack[:8]), hang=12, source='task/%d/stack' % view.tid)
    yield Line('meaning   it %s' % KIND_WORDS.get(view.wait.kind, view.wait.kind), hang=12)


def main_view(f):
    """The thread that WAITING ON is about: that of the verdict, else the main thread."""
    for tid in f.verdict.tids if getattr(f, 'verdict', None) is not None else ():
        if tid in f.by_tid and f.by_tid[tid] in f.living:
            return f.by_tid[tid]
    rows = f.living or f.views
    return min(rows, key=lambda view: (view.tid != f.pid, view.tid)) if rows else None


def verdict_tids(f):
    """The threads that the verdict names."""
    return frozenset(f.verdict.tids if getattr(f, 'verdict', None) is not None else ())


def section_threads(f):
    """Groups of threads that do the same, the busiest and odd ones first; all with --full."""
    shown = 0
    groups = f.groups if not f.snap.full else [Group(group.key, (view,)) for group in f.groups for view in group.views]
    most = 10 ** 9 if f.snap.full else 11 if len(f.groups) <= 12 else 9 if f.java is None else 6
    if not f.snap.full:                     # those that the verdict is about come first, the largest group of them at the top
        named = verdict_tids(f)
        groups = sorted(groups, key=lambda group: (not named & {view.tid for view in group.views}))
    yield Line('%-11s %-10s %6s %8s  %s' % ('thread', 'states', 'cpu', 'switches', 'name: what it does'))
    for group in groups[:most]:
        shown += len(group.views)
        yield group_line(f, group)
    yield Line('from task/*/{stat,syscall,wchan,status,schedstat}; states: one letter a look', style='source')
    if shown < len(f.views):
        yield Line('... and %s in %d more groups (--full shows all)' % (people(len(f.views) - shown), len(groups) - most))


def group_line(f, group):
    """One group: '33 threads   SSSSSSSSSS  0.0%      0  worker-1 ...: futex(...)'."""
    views = group.views
    first = views[0]
    who = str(first.tid) if len(views) == 1 else '%d threads' % len(views)
    cpu = [view.cpu_pct for view in views if view.cpu_pct is not None]
    switches = [(view.voluntary or 0) + (view.involuntary or 0) for view in views if view.voluntary is not None or view.involuntary is not None]
    names = sorted({view.name for view in views})
    name = names[0] + (' ... (%d names)' % len(names) if len(names) > 1 else '')
    what = doing_in_table(f, first)
    idle = max([view.idle_s for view in views if view.idle_s is not None] or [0])
    ago = ', last ran %s ago' % duration(idle) if idle >= 10 else ''
    return Line('%-11s %-10s %6s %8s  %s: %s%s%s' % (
        who, strip_text(first.strip), '%.1f%%' % sum(cpu) if cpu else '-', sum(switches) if switches else '-', name, what, ago,
        '  [%s ...]' % ' '.join(str(view.tid) for view in views[:3]) if len(views) > 1 else ''), hang=13)


def doing_in_table(f, view):
    """What a thread does, short: the lock and its owner instead of futex's six arguments."""
    lock = f.group_of.get(view.tid)
    if view.wait.kind == 'running':
        return 'running'
    if lock is not None:
        owner = ' of thread %d' % lock.owner_tid if lock.owner_tid is not None else ''
        if lock in f.python_groups or lock in f.java_groups:
            return lock.kind + owner
        kind = lock.kind if lock.kind != 'unknown futex' else 'a lock or condition'
        return 'futex %#x, %s%s%s' % (lock.uaddr, kind, owner, ' ' + lock.note if lock.kind == 'join' and lock.note and not owner else '')
    if view.wait.kind == 'futex' and view.wait.call is not None and view.wait.call.args:
        return 'futex %#x' % view.wait.call.args[0]
    words = view.text or (view.wait.name if view.wait.name not in ('', '0') else KIND_WORDS.get(view.wait.kind, view.wait.kind))
    return words if f.snap.full else cut(words, 120)


def cut(words, width):
    """At most width characters; what was cut is marked."""
    return words if len(words) <= width else words[:width - 3] + '...'


def strip_text(strip):
    """At most ten letters."""
    return strip if len(strip) <= 10 else strip[:10]


def section_python(f):
    """Stacks of CPython's or a JVM's threads, equal ones folded, the odd one out first."""
    if f.python is None and f.java is None:
        return
    for report in (f.python, f.java):
        if report and report.get('error'):
            yield Line('not shown: %s' % report['error'])
    folded = collections.OrderedDict()
    for tid, frames in f.frames.items():
        folded.setdefault(tuple(frames), []).append(tid)
    named, most = verdict_tids(f), 10 ** 9 if f.snap.full else 8 if f.java is None else 4
    rows = sorted(folded.items(), key=lambda row: (not named & set(row[1]), len(row[1]), row[1]))
    for frames, tids in rows[:most]:
        who = 'thread %d' % tids[0] if len(tids) == 1 else '%s (%s)' % (people(len(tids)), ' '.join(map(str, tids[:4])) + (' ...' if len(tids) > 4 else ''))
        yield Line('%s: %s' % (who, frames_text(frames, 100 if f.snap.full else 5) if frames else 'no frame'), hang=6, source='mem')
    for line in task_lines(f):
        yield line


def task_lines(f):
    """asyncio's tasks that are not done, those with the same stack in one line, the most numerous first."""
    report = asyncio_report(f.python)
    if report is None:
        return
    if report.get('error'):
        yield Line('not shown: %s' % report['error'])
    elif not f.tasks and report.get('found') and not any(report.get(name) for name in ('cut', 'moving', 'other')) and any(
            python_summary(frames)[0] for frames in f.frames.values()):
        yield Line('no asyncio task is pending', source='mem')
    shown = f.tasks[:10 ** 9 if f.snap.full else 8]
    for group in shown:
        yield Line('%s: %s: %s' % (tasks_word(group), frames_text(group.frames, 100 if f.snap.full else 5) or 'no frame', awaits_text(group)),
                   hang=6, source='mem')
    left = sum(len(group.names) for group in f.tasks[len(shown):])
    rows = ['%d more in other places: --full shows them' % left if left else '', 'not all of them were read' if report.get('cut') else '',
            '%s that changed while they were read are left out' % report['moving'] if report.get('moving') else '',
            '%s with a coroutine that is not Python\'s own are left out, done or not' % report['other'] if report.get('other') else '']
    if any(rows):
        yield Line('asyncio tasks: %s' % '; '.join(row for row in rows if row))


def tasks_word(group):
    """'asyncio task Task-7', '12 asyncio tasks'"""
    if len(group.names) > 1:
        return '%d asyncio tasks' % len(group.names)
    return 'asyncio task%s' % (' ' + cut(group.names[0], 40) if group.names[0] else '')


def awaits_text(group):
    """'await a Future', 'awaits Task-7'"""
    word = 'awaits' if len(group.names) == 1 else 'await'
    if group.state != 'suspended':
        return {'running': 'running now', 'not started': 'not started yet'}.get(group.state, group.state)
    if not group.awaits:
        return '%s nothing, ready to run' % word
    names = sorted({cut(name, 40) for name in group.awaited if name})
    if names:
        return '%s %s%s' % (word, ', '.join(names[:3]), ' ...' if len(names) > 3 else '')
    return '%s %s %s' % (word, 'an' if group.awaits[:1] in 'AEIOUaeiou' else 'a', cut(group.awaits, 60))


def section_files(f):
    """Descriptors by kind and target, the limit, and the sockets; all of them with --full."""
    snap = f.snap
    soft, hard = open_files_limit(f)
    if not f.living or snap.stat.is_kernel_thread:
        yield Line('none: a kernel thread or a zombie has no descriptors')
        return
    if snap.fds is None:
        yield Line('not readable from here' if snap.live else 'not in the snapshot')
        return
    share = ' (%d %% of the soft limit %d, hard %s)' % (100 * len(snap.fds) // soft, soft, hard) if isinstance(soft, int) and soft > 0 else ''
    counts = ', '.join('%d %s' % (count, kind) for kind, count in fd_counts(list(snap.fds.values())).items())
    yield Line('%d open%s%s' % (len(snap.fds), share, ': ' + counts if counts else ''), source='fd, limits')
    for words in lock_waiters(f):
        yield Line(words, hang=6, source='/proc/locks')
    if snap.full:
        for fd in sorted(snap.fds):
            yield Line(full_fd(f, snap.fds[fd]), hang=6)
        return
    for group in [group for group in f.fd_groups if group.kind not in ('socket', 'pipe')][:4]:
        if group.count > 3:
            yield Line('%d x %s' % (group.count, group.target), hang=6, source='fd')
    counts_of = socket_counts(f)
    for words, count in counts_of.most_common(8):
        if count > 1:
            yield Line('%d x %s' % (count, words), hang=6, source='net')
    blocked = {view.wait.fd for view in f.views if view.wait.fd is not None}
    rows = [fd for fd in sorted(snap.fds) if fd in blocked or fd <= 2]
    many, alone = [], []
    for fd in sorted(snap.fds):
        if snap.fds[fd].socket is not None and fd not in rows:
            (many if counts_of[socket_key(f, snap.fds[fd].socket)] > 1 else alone).append(fd)
    shown = rows + alone[:12] + many[:2]
    for fd in shown:
        yield Line(fd_text(f, fd) + flags_text(f, snap.fds[fd]), hang=6)
    left = len(snap.fds) - len(shown)
    yield Line('from fd, fdinfo, net/*%s' % ('; %d more: --full shows every descriptor' % left if left else ''), style='source')


def lock_waiters(f):
    """'2 processes wait for its lock on /run/x.lock: 812 (cron), 813': who is held up by this process. A waiter repeats the
    ordinal of the lock. An OFD lock has no owner in /proc/locks, and a flock has the one that took it: fdinfo has both."""
    names = {(fd.info or {}).get('ino'): fd.target for fd in (f.snap.fds or {}).values() if fd.target}
    mine = {(lock.type, lock.inode) for fd in (f.snap.fds or {}).values() for lock in (fd.info or {}).get('locks') or ()}
    held = collections.OrderedDict((lock.ordinal, lock) for lock in f.snap.locks or ()
                                   if not lock.blocked and (lock.pid == f.pid or (lock.type, lock.inode) in mine and lock.type != 'POSIX'))
    for ordinal, lock in held.items():
        pids = sorted({row.pid for row in f.snap.locks if row.blocked and row.ordinal == ordinal and row.pid != f.pid})
        if pids:
            name = names.get(lock.inode) or 'inode %d' % lock.inode
            yield '%s for its lock on %s: %s' % ('1 process waits' if len(pids) == 1 else '%d processes wait' % len(pids), name, ', '.join(
                process_text(f, pid) if pid > 0 else 'not named' for pid in pids[:8]) + (', ...' if len(pids) > 8 else ''))


def socket_counts(f):
    """Sockets by what they have in common: the port that clients came to, or the peer, and the state."""
    return collections.Counter(socket_key(f, fd.socket) for fd in f.snap.fds.values() if fd.socket is not None)


def socket_key(f, row):
    """The words that sockets of one kind share; one of a kind is its own."""
    if row.proto == 'unix' or row.state == 'LISTEN':
        return socket_text(row._replace(recv_q=None) if row.proto == 'unix' else row)
    if not hasattr(f, 'ports'):
        f.ports = {split_endpoint(fd.socket.local)[1] for fd in f.snap.fds.values() if fd.socket is not None and fd.socket.state == 'LISTEN'}
    port = split_endpoint(row.local)[1]
    ends = 'clients of %s :%s' % (row.proto, port) if port in f.ports else '%s to %s' % (row.proto, row.remote)
    return '%s, %s%s' % (ends, row.state, ', with unread input' if row.recv_q and row.state == 'ESTABLISHED' else '')


def flags_text(f, fd):
    """', O_RDWR|O_NONBLOCK' of fdinfo."""
    flags = (fd.info or {}).get('flags')
    return '  %s' % open_flags(f.snap.arch or 'x86_64', flags) if flags is not None else ''


def full_fd(f, fd):
    """One descriptor with all that is known."""
    info = fd.info or {}
    words = fd_text(f, fd.fd) + flags_text(f, fd)
    if info.get('pos'):
        words += ', pos %d' % info['pos']
    for key in ('eventfd_count', 'timer', 'Pid', 'sigmask', 'userfault', 'io_uring'):
        if info.get(key) is not None:
            words += ', %s %s' % (key, info[key])
    for member in (info.get('epoll') or ())[:64]:
        words += '; watches fd %s %s' % (member.get('tfd'), member.get('events_text'))
    return words


def section_memory(f):
    """Resident, shared, swapped; VmSize is not what is used."""
    snap, status = f.snap, f.snap.status or {}
    rss = status_number(status, 'VmRSS')
    if rss is None:
        yield Line('none: a kernel thread or a zombie has no memory of its own' if not f.living or snap.stat.is_kernel_thread else 'not in status')
        return
    split = ', '.join('%s %s' % (label, size_text(status_number(status, key) * 1024)) for label, key in (
        ('anonymous', 'RssAnon'), ('file', 'RssFile'), ('shared', 'RssShmem')) if status_number(status, key) is not None)
    yield Line('RSS %s%s; swap %s; peak %s' % (kB_text(rss), ' (%s)' % split if split else '', kB_text(status_number(status, 'VmSwap')),
                                              kB_text(status_number(status, 'VmHWM'))), source='status')
    rollup = snap.rollup or {}
    if rollup.get('Pss') is not None:
        yield Line('PSS %s: its fair share, pages shared with others divided' % size_text(rollup['Pss'] * 1024), source='smaps_rollup')
    yield Line('VmSize %s is address space that was reserved, not memory that is used' % kB_text(status_number(status, 'VmSize')), source='status')
    if snap.maps:
        yield from mapping_lines(snap)


def mapping_lines(snap):
    """Heap, stacks and the largest mappings by file."""
    sizes = collections.Counter()
    for row in snap.maps:
        sizes[row.path or '(anonymous)'] += row.end - row.start
    heap = sizes.get('[heap]')
    yield Line('%d mappings%s; largest: %s' % (
        len(snap.maps), ', heap %s' % size_text(heap) if heap else '',
        ', '.join('%s %s' % (path, size_text(size)) for path, size in sizes.most_common(40 if snap.full else 4))), hang=4, source='maps')


def section_io(f):
    """Bytes and calls, with rates where they move; CPU, delays and switches."""
    snap = f.snap
    if snap.io:
        words = []
        for name in ('rchar', 'wchar', 'read_bytes', 'write_bytes'):
            if snap.io.get(name) is not None:
                grown = difference((snap.last_io or {}).get(name), snap.io[name])
                rate = ' (+%s/s)' % size_text(grown / f.watched_s) if grown and f.watched_s else ''
                words.append('%s %s%s' % (name, size_text(snap.io[name]), rate))
        calls = '; calls: %s read, %s write' % (known(snap.io.get('syscr')), known(snap.io.get('syscw')))
        yield Line(', '.join(words) + calls, hang=4, source='io')
    stat = snap.stat
    if stat.utime is not None and stat.stime is not None:
        moved = [view.cpu_pct for view in f.views if view.cpu_pct is not None]
        now = ', now %.1f %% of a CPU' % sum(moved) if moved else ''
        yield Line('CPU used: %.1f s user, %.1f s system%s' % (stat.utime / float(snap.clk_tck), stat.stime / float(snap.clk_tck), now), source='stat')
    delays = [view for view in f.views if view.run_delay_pct and view.run_delay_pct >= 1]
    if delays:
        worst = max(delays, key=lambda view: view.run_delay_pct)
        yield Line('waited for a CPU while runnable: %s %.0f %% of the watch' % (name_of(worst), worst.run_delay_pct), source='task/*/schedstat')
    if stat.majflt:
        grown = sum(view.majflt or 0 for view in f.views)
        yield Line('major faults: %d%s' % (stat.majflt, ' (+%d in the watch)' % grown if grown else ''), source='stat')
    if stat.blkio_ticks:
        yield Line('waited for block I/O: %.1f s in its life' % (stat.blkio_ticks / float(snap.clk_tck)), source='stat')


def section_cgroup(f):
    """Its control groups, limits, namespaces, container."""
    snap, facts = f.snap, f.cgroup
    if facts:
        paths = sorted({row['path'] for row in facts['paths']}, key=lambda path: (-len(path), path))
        yield Line('cgroup %s' % ': '.join(word for word in (facts['version'], ', '.join(paths[:4]) or 'none') if word), hang=4, source='cgroup')
        container = facts.get('container')
        if container and (container.get('id') or container.get('pod')):
            yield Line('container %s %s%s' % (container.get('runtime') or '', container.get('id') or '', '  pod %s' % container['pod'] if container.get('pod') else ''), hang=4, source='cgroup')
        yield from cgroup_limit_lines(facts)
    elif snap.cgroup is None:
        yield Line('cgroup not readable')
    if snap.ns:
        yield Line('namespaces %s' % '  '.join('%s:%s' % (name, inode) for name, inode in sorted(snap.ns.items())), hang=4, source='ns')
        differ = [name for name, inode in sorted(snap.ns.items()) if (snap.reader_ns or {}).get(name) not in (None, inode)]
        if differ:
            yield Line('other than the reader\'s: %s (in a container, or a sandbox)' % ', '.join(differ), source='ns')
    inner = (snap.status or {}).get('NSpid', '').split()
    if len(inner) > 1:
        yield Line('pid inside its PID namespace: %s' % inner[-1], source='status')


def cgroup_limit_lines(facts):
    """The limits that bind, of whatever ancestor."""
    cpu, memory, pids = facts.get('cpu_limiting'), facts.get('memory_limiting'), facts.get('pids_limiting')
    if cpu and is_number(cpu.get('quota_cpus')):
        yield Line('cpu quota %.3g CPUs (%s); throttled in %s of %s periods since it was made' % (
            cpu['quota_cpus'], cpu['path'], known(cpu['nr_throttled']), known(cpu['nr_periods'])), hang=4, source=cpu['source'])
    if memory and (is_number(memory.get('limit')) or is_number(memory.get('high'))):
        yield Line('memory %s of %s (%s)' % (size_text(memory['usage']) if memory['usage'] is not None else '?', size_text(
            min(value for value in (memory.get('limit'), memory.get('high')) if is_number(value))), memory['path']), hang=4, source=memory['source'])
    if pids and is_number(pids.get('limit')):
        yield Line('pids %s of %s (%s)' % (known(pids.get('current')), pids['limit'], pids['path']), hang=4)


def section_host(f):
    """The host in brief."""
    host = f.snap.host or {}
    cpu = host.get('cpuinfo') or {}
    yield Line('kernel %s, %s, %s CPUs%s' % (f.snap.kernel or '?', f.snap.arch or 'unknown architecture', cpu.get('count') or '?',
                                            ' (%s)' % cpu['model'] if cpu.get('model') else ''), hang=4, source='/proc/version, cpuinfo')
    load, memory = host.get('loadavg'), host.get('meminfo') or {}
    if load is not None and load[0] is not None:
        yield Line('load %s %s %s: %s runnable of %s threads' % tuple(known(value) for value in (load[0], load[1], load[2], load.runnable, load[4])), source='/proc/loadavg')
    if memory.get('MemTotal'):
        available = memory.get('MemAvailable')
        yield Line('memory %s, available %s%s' % (size_text(memory['MemTotal'] * 1024), size_text(available * 1024) if available is not None else 'not told (no MemAvailable before 3.14)',
                   ', swap free %s of %s' % (kB_text(memory.get('SwapFree')), kB_text(memory['SwapTotal'])) if memory.get('SwapTotal') else ', no swap' if 'SwapTotal' in memory else ''), source='/proc/meminfo')
    words = []
    for name in ('cpu', 'memory', 'io'):
        some = (host.get('pressure/' + name) or {}).get('some') or {}
        if some.get('avg10') is not None:
            words.append('%s %s %%' % (name, some['avg10']))
    if words:
        yield Line('pressure (some, last 10 s): %s' % ', '.join(words), source='/proc/pressure')


REMEDIES = {
    'EACCES': 'run as the same user or as root; in a container: kubectl debug --profile=sysadmin, or add CAP_SYS_PTRACE',
    'EPERM': 'needs CAP_SYS_PTRACE (and a Yama ptrace_scope that allows it): root, or kubectl debug --profile=sysadmin',
    'TIMEOUT': 'the read blocked: a thread holds the lock it needs (mmap or exec), or a file system does not answer',
    'ABSENT': 'not in the snapshot', 'CUT': 'longer than the limit', 'EIO': 'the kernel could not read that page',
    'ENOENT': 'this kernel has no such file, or it ended', 'ESRCH': 'it ended meanwhile'}
QUIET_GAPS = frozenset('ENOENT ESRCH ABSENT EINVAL ENOTDIR EOPNOTSUPP'.split())


def remedy(f, path, error):
    """What would make it readable."""
    if path.endswith('/stack') and error in ('EACCES', 'EPERM'):
        return 'kernel stacks need CAP_SYS_ADMIN: root outside of any container'
    if f.snap.reader_euid == 0 and error in ('EACCES', 'EPERM'):
        pid = re.match(r'(?:proc/)?(\d+)/', path)
        return ('needs CAP_SYS_PTRACE and the capabilities that %s has, which root lacks here: outside of any container, or kubectl debug --profile=sysadmin'
                % (pid.group(1) if pid else 'it'))
    return REMEDIES.get(error, '' if f.snap.reader_euid == 0 else 'try as root')


def folded_gaps(f):
    """[(pattern, error, count, remedy)]: fd/N: EACCES, 280 times."""
    table = collections.OrderedDict()
    for path, error in sorted(f.gaps.items()):
        shown = path[5:] if path.startswith('proc/') else path
        pattern = re.sub(r'(?<=/)\d+', 'N', shown)
        table.setdefault((pattern, error), []).append(path)
    return [(pattern if len(paths) > 1 else (paths[0][5:] if paths[0].startswith('proc/') else paths[0]), error, len(paths), remedy(f, pattern, error))
            for (pattern, error), paths in table.items()]


def section_gaps(f):
    """What could not be read, why, and what would make it readable."""
    rows = folded_gaps(f)
    loud = [row for row in rows if row[1] not in QUIET_GAPS]
    missing = [row for row in rows if row[1] == 'ABSENT']
    by_error = collections.OrderedDict()
    for pattern, error, count, words in loud:
        by_error.setdefault((error, words), []).append(pattern + (' (%d times)' % count if count > 1 else ''))
    for (error, words), patterns in by_error.items():
        yield Line('%s: %s%s%s' % (error, ', '.join(patterns[:14]), ' ...' if len(patterns) > 14 else '', ' -> ' + words if words else ''), hang=4)
    if missing:
        yield Line('not in the snapshot: %s%s' % (', '.join(row[0] for row in missing[:20]), ', ...' if len(missing) > 20 else ''), hang=4)
    if not loud and not missing:
        yield Line('everything that was asked for could be read')


SECTIONS = (('PROCESS', section_process), ('STATE', section_state), ('WAITING ON', section_waiting), ('THREADS', section_threads),
            ('PYTHON', section_python), ('FILES AND SOCKETS', section_files), ('MEMORY', section_memory), ('I/O AND SCHEDULER', section_io),
            ('CGROUP AND NAMESPACES', section_cgroup), ('HOST', section_host), ('NOT READ', section_gaps))


def header_words(f):
    """Tool, process, host, time, how long it watched."""
    snap = f.snap
    watched = 'watched %.1f s' % f.watched_s if f.watched_s else 'read once'
    words = 'procdoc %s: %s (pid %d) on %s, %s, %s' % (VERSION, snap.stat.comm, f.pid, snap.hostname or 'unknown host', local_time(snap.taken_at), watched)
    if not snap.live:
        words += ', from a snapshot'
    if snap.show_secrets:
        words += ', --show-secrets: nothing is masked'
    return words


def finding_lines(findings, full):
    """DIAGNOSIS: each finding, its evidence and what to do next; a step is said once."""
    said = set()
    for place, row in enumerate(findings):
        yield Line('%s  %s (%s)' % (row.severity.upper(), row.code, row.confidence), 2, row.severity)
        yield Line(row.summary, 4, hang=0)
        most = 99 if full else 6 if place == 0 else 2
        for proof in row.evidence[:most]:
            yield Line('- %s' % proof.text, 4, source=proof.source)
        steps = [step for step in row.next if step not in said][:99 if full else 3 if place == 0 else 1]
        said.update(steps)
        for step in steps:
            yield Line('> %s' % step, 4, 'next')


def text_report(f, findings):
    """-> Lines of the whole report."""
    yield Line(header_words(f), 0, 'bold')
    yield Line('', 0)
    yield Line('DIAGNOSIS', 0, 'bold')
    yield from finding_lines(findings if f.snap.full else findings[:8], f.snap.full)
    for title, section in SECTIONS:
        lines = section_lines(f, title, section)
        if lines:
            yield Line('', 0)
            yield Line('JAVA' if title == 'PYTHON' and f.java is not None else title, 0, 'bold')
            yield from lines


def section_lines(f, title, section):
    """A section's Lines; one that raises costs itself only."""
    try:
        return list(section(f))
    except Exception as error:
        if os.environ.get('PROCDOC_DEBUG'):
            raise
        return [Line('this section failed: %s: %s' % (type(error).__name__, str(error)[:80]))]


# --- onto the screen

STYLES = {'bold': '1', 'critical': '1;31', 'warning': '1;33', 'note': '32', 'next': '36', 'source': '2'}


class Screen:
    """Writes Lines: escaped, wrapped, coloured. ASCII only where the stream is not UTF-8."""

    def __init__(self, stream, colour, full=False):
        self.stream, self.colour = stream, colour
        encoding = (getattr(stream, 'encoding', None) or 'ascii').lower().replace('-', '')
        self.ascii = encoding not in ('utf8', 'utf_8', 'cp65001')
        self.width = 400 if full else WIDTH

    def write(self, lines):
        """All lines, in blocks, so that a closed pipe is met early."""
        block, size = [], 0
        for line in lines:
            row = self.render(line)
            block.append(row)
            size += len(row)
            if size > 65536:
                self.stream.write('\n'.join(block) + '\n')
                block, size = [], 0
        if block:
            self.stream.write('\n'.join(block) + '\n')
        self.stream.flush()

    def render(self, line):
        """One Line -> text with newlines of our own."""
        words = safe(line.words, PARAGRAPHS, self.ascii)
        source = '  [%s]' % safe(line.source, 300, self.ascii) if line.source else ''
        rows = wrap(words, self.width - line.indent, line.hang)
        tail = ''
        if source:
            if len(rows[-1]) + len(source) + line.indent <= max(self.width, 80):
                tail = self.paint('source', source)
            else:
                rows += [' ' * line.hang + row for row in wrap(source.strip(), self.width - line.indent - line.hang, 2)]
        pad = ' ' * line.indent
        return '\n'.join((pad + self.paint(line.style, row)).rstrip() if row or tail else '' for row in rows) + tail

    def paint(self, style, words):
        """With colour, where that is wanted."""
        if not self.colour or style not in STYLES:
            return words
        return '\x1b[%sm%s\x1b[0m' % (STYLES[style], words)


def wrap(words, width, hang):
    """Lines of at most width; runs of spaces inside (columns) are kept; a word longer than a line is cut."""
    rows, room = [], width
    while len(words) > room:
        cut = words.rfind(' ', max(1, room // 2), room + 1)
        if cut <= 0:
            cut = room
        rows.append((' ' * hang if rows else '') + words[:cut].rstrip())
        words = words[cut:].lstrip()
        room = width - hang
    rows.append((' ' * hang if rows else '') + words)
    return rows


# --- JSON

def clean(value, depth=0):
    """A value fit for JSON: what is no Unicode is escaped, what is enormous is cut."""
    if isinstance(value, str):
        if len(value) > 20000:
            value = value[:20000] + '...'
        try:
            value.encode('utf-8')
            return value                    # the usual case costs no copy
        except UnicodeEncodeError:
            return value.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')
    if isinstance(value, bytes):
        return clean(text(value))
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return round(value, 3) if value == value and abs(value) < 1e300 else None
    if depth > 20:
        return None
    if isinstance(value, dict):
        return {clean(str(key)): clean(item, depth + 1) for key, item in value.items()}
    if hasattr(value, '_asdict'):
        return clean(value._asdict(), depth + 1)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean(item, depth + 1) for item in value]
    return clean(str(value))


def holders_by_target(f):
    """{link target: [peer of the contract]}: a process may have 10,000 pipes, and as many holders."""
    found = {}
    for pid, fd, target, comm, _ in holder_rows(f):
        found.setdefault(target, []).append({'pid': pid, 'fd': fd, 'comm': comm})
    return found


def finding_json(row):
    """FINDING of the contract."""
    found = {'code': row.code, 'severity': row.severity, 'confidence': row.confidence, 'summary': row.summary,
             'evidence': [{'text': proof.text, 'source': proof.source} for proof in row.evidence], 'next': list(row.next)}
    if row.tids:
        found['tids'] = list(row.tids)
    if row.pids:
        found['pids'] = list(row.pids)
    return found


def thread_json(f, view):
    """threads[] of the contract."""
    thread, call = view.thread, view.wait.call
    last = thread.last_stat or thread.stat
    status = thread.last_status or thread.status
    row = {'tid': view.tid, 'name': view.name, 'state': view.state, 'wchan': thread.wchan,
           'syscall': {'nr': call.nr, 'name': call.name, 'args': ['0x%x' % (arg & 0xffffffffffffffff) for arg in call.args], 'text': view.text} if call is not None else None,
           'cpu_pct': view.cpu_pct, 'user_ticks': last.utime, 'system_ticks': last.stime,
           'voluntary_switches': status_number(status, 'voluntary_ctxt_switches'),
           'involuntary_switches': status_number(status, 'nonvoluntary_ctxt_switches'),
           'waits_for': waits_for_json(f, view), 'kind': view.wait.kind, 'states': view.strip,
           'moved': view.moved, 'last_ran_s': view.idle_s, 'helper': view.helper}
    if view.tid in f.frames and f.java is None:
        row['python'] = [{'function': name, 'file': file, 'line': line} for name, file, line in f.frames[view.tid]]
    return row


def waits_for_json(f, view):
    """What a thread waits for: the lock and its owner, or the descriptor."""
    group = getattr(f, 'group_of', {}).get(view.tid)
    if group is not None:
        return {'kind': group.kind, 'address': '0x%x' % group.uaddr, 'owner_tid': group.owner_tid, 'owner_state': group.owner_state,
                'place': group.place or None, 'waiters': len(group.waiters)}
    if view.wait.fd is not None:
        return {'kind': view.wait.kind, 'fd': view.wait.fd, 'text': fd_text(f, view.wait.fd)}
    return None


def fd_json(f, fd, holders):
    """fds[] of the contract."""
    info = fd.info or {}
    flags = info.get('flags')
    row = {'fd': fd.fd, 'kind': fd.kind, 'target': fd.target, 'flags': open_flags(f.snap.arch or 'x86_64', flags) if flags is not None else None,
           'pos': info.get('pos'), 'deleted': fd.deleted, 'size': (f.snap.fd_sizes or {}).get(fd.fd)}
    if fd.socket is not None:
        sock = fd.socket
        row['socket'] = {'proto': sock.proto, 'state': sock.state, 'local': sock.local, 'remote': sock.remote, 'recv_q': sock.recv_q,
                         'send_q': sock.send_q, 'inode': sock.inode}
    if fd.kind == 'pipe' and fd.target in holders:
        row['peers'] = holders[fd.target]
    detail = {key: value for key, value in info.items() if key not in ('pos', 'flags', 'other') and value not in (None, [], {})}
    if detail:
        row['info'] = detail
    return row


def json_report(f, findings):
    """The object of the contract."""
    snap, stat, holders = f.snap, f.snap.stat, holders_by_target(f)
    epoch, age = started_at(snap)
    view = main_view(f)
    row = state_row(stat.state)
    process = {
        'comm': stat.comm, 'argv': snap.argv, 'command': command_text(snap), 'exe': snap.exe, 'exe_deleted': bool(snap.exe and snap.exe.endswith(' (deleted)')),
        'cwd': snap.cwd, 'root': snap.root, 'ppid': stat.ppid, 'parents': [{'pid': parent.pid, 'comm': parent.comm, 'argv': argv} for parent, argv in snap.parents],
        'children': [{'pid': child.pid, 'comm': child.comm, 'state': child.state} for child in snap.children] if snap.children is not None else None,
        'uid': (status_ids(snap.status, 'Uid') or [None])[0], 'gid': (status_ids(snap.status, 'Gid') or [None])[0], 'user': user_text(snap, 'u', 'Uid'),
        'group': user_text(snap, 'g', 'Gid'), 'loginuid': snap.loginuid, 'started_at': iso_time(epoch), 'age_s': age, 'tty': tty_name(stat.tty_nr) if stat.tty_nr else None,
        'session': stat.session, 'pgrp': stat.pgrp, 'num_threads': stat.num_threads, 'nice': stat.nice, 'policy': policy_name(stat.policy), 'oom_score': snap.oom_score,
        'oom_score_adj': snap.oom_score_adj, 'runtime': f.runtime.label, 'bits': snap.bits,
        'environ': [{'name': name, 'value': value} for name, value in snap.environ] if snap.environ is not None else None,
        'limits': limits_report(snap.limits or {}, limits_usage(snap.status or {}, snap.fd_count)) if snap.limits is not None else None}
    return {
        'schema': 'procdoc/1', 'procdoc': VERSION, 'taken_at': iso_time(snap.taken_at), 'watched_s': f.watched_s, 'arch': snap.arch, 'kernel': snap.kernel,
        'pid': f.pid, 'verdict': finding_json(findings[0]), 'findings': [finding_json(found) for found in findings], 'process': process,
        'state': {'state': stat.state, 'name': row[1] if row is not None else None, 'meaning': row[2] if row is not None else None,
                  'tracer_pid': status_number(snap.status, 'TracerPid'), 'exit_code': stat.exit_code if stat.state in 'ZX' else None},
        'waiting': {'tid': view.tid if view else None, 'kind': view.wait.kind if view else None, 'wchan': view.thread.wchan if view else None,
                    'text': view.text if view else None, 'stack': list(view.thread.stack or ()) if view else None},
        'threads': (thread_json(f, each) for each in f.views), 'fds': (fd_json(f, snap.fds[fd], holders) for fd in sorted(snap.fds)) if snap.fds is not None else None,
        'memory': memory_json(snap), 'io': snap.last_io or snap.io, 'sched': {'policy': policy_name(stat.policy), 'nice': stat.nice, 'priority': stat.priority, 'rt_priority': stat.rt_priority,
                                                                           'utime': stat.utime, 'stime': stat.stime},
        'cgroup': f.cgroup, 'namespaces': {'inodes': snap.ns, 'differ_from_reader': [name for name, inode in sorted((snap.ns or {}).items()) if (snap.reader_ns or {}).get(name) not in (None, inode)],
                                           'NSpid': (snap.status or {}).get('NSpid', '').split()},
        'host': host_json(snap), **tasks_json(f), 'gaps': [{'path': path[5:] if path.startswith('proc/') else path, 'error': error, 'remedy': remedy(f, path, error)} for path, error in sorted(f.gaps.items())]}


def tasks_json(f):
    """asyncio_tasks where they were read: one row for each, innermost frame first."""
    report = asyncio_report(f.python)
    if report is None or report.get('error'):
        return {}
    return {'asyncio_tasks': [
        {'name': name or None, 'state': group.state, 'frames': [{'function': function, 'file': file, 'line': line} for function, file, line in group.frames],
         'awaits': group.awaits or None, 'awaits_task': awaited or None} for group in f.tasks for name, awaited in zip(group.names, group.awaited)]}


def memory_json(snap):
    """Figures of status and smaps_rollup, kB."""
    found = {name + '_kB': status_number(snap.status, name) for name in (
        'VmSize', 'VmRSS', 'VmHWM', 'VmSwap', 'RssAnon', 'RssFile', 'RssShmem', 'VmLck', 'VmStk', 'VmData')}
    for name, value in (snap.rollup or {}).items():
        found['%s_kB' % name] = value
    found['mappings'] = len(snap.maps) if snap.maps is not None else None
    return found


def host_json(snap):
    """The host in brief."""
    host = snap.host or {}
    memory = host.get('meminfo') or {}
    load = host.get('loadavg')
    return {'hostname': snap.hostname, 'kernel': snap.kernel, 'cpus': (host.get('cpuinfo') or {}).get('count'), 'cpu_model': (host.get('cpuinfo') or {}).get('model'),
            'loadavg': list(load) if load is not None else None, 'MemTotal_kB': memory.get('MemTotal'), 'MemAvailable_kB': memory.get('MemAvailable'),
            'SwapTotal_kB': memory.get('SwapTotal'), 'SwapFree_kB': memory.get('SwapFree'), 'uptime_s': (host.get('uptime') or (None,))[0],
            'pressure': {name: host.get('pressure/' + name) for name in ('cpu', 'memory', 'io')}}


def json_lines(value):
    """The JSON text of a report in pieces: a line for each key, and one for each item of a list of objects, so
    that it can be read with grep, and 18,000 descriptors never stand in memory twice. ASCII, so that no
    terminal is harmed and no locale matters."""
    import json
    first = True
    for key, part in value.items():
        yield ('{' if first else ',\n ') + json.dumps(clean(str(key))) + ': '
        first = False
        if isinstance(part, dict) or not hasattr(part, '__iter__') or isinstance(part, (str, bytes)) or hasattr(part, '_asdict'):
            yield json.dumps(clean(part))
            continue
        start = '['
        for item in part:
            yield start + json.dumps(clean(item))
            start = ',\n  '
        yield ']' if start != '[' else '[]'
    yield '{}\n' if first else '}\n'


# ROOM SYSTEM ==================================================================
# The command system: collecting, what is wrong with a host, and the screen. To add a kernel setting: a row of SETTINGS.

# Kernel settings that matter to a hung process: sysctl's name, the use that counts against it (see setting_use), what it does.
SETTINGS = (
    ('kernel.pid_max', 'tasks', 'no PID left: fork fails with EAGAIN'),
    ('kernel.threads-max', 'tasks', 'of all users: clone fails with EAGAIN'),
    ('fs.file-max', 'files', 'of all users: open fails with ENFILE'),
    ('fs.nr_open', None, 'the most that ulimit -n may be'),
    ('vm.max_map_count', None, 'of one process: mmap gives ENOMEM'),
    ('vm.overcommit_memory', None, '2: malloc fails at CommitLimit; else the OOM killer comes'),
    ('vm.swappiness', None, 'how readily memory is swapped out'),
    ('vm.panic_on_oom', None, '1, 2: the host panics, none is killed'),
    ('vm.min_free_kbytes', None, 'kept back; below it, allocations wait'),
    ('vm.dirty_ratio', None, '% dirty at which writers must wait'),
    ('kernel.hung_task_timeout_secs', None, 'D for longer is logged; 0: never'),
    ('kernel.hung_task_panic', None, '1: such a D panics the host'),
    ('kernel.hung_task_warnings', None, 'log lines left; 0: no more'),
    ('kernel.softlockup_panic', None, '1: a CPU stuck in the kernel panics'),
    ('kernel.sched_rt_runtime_us', None, '-1: real-time threads may starve all'),
    ('kernel.sysrq', None, 'may sysrq w log all D tasks?'),
    ('kernel.yama.ptrace_scope', None, '1+: gdb and strace of others need root'),
    ('kernel.kptr_restrict', None, '2: kernel addresses hidden from root'),
    ('kernel.perf_event_paranoid', None, '2+: perf of the kernel needs root'),
    ('kernel.core_pattern', None, 'a pipe: a crash waits for its reader'),
    ('kernel.io_uring_disabled', None, '1, 2: io_uring_setup gives EPERM'),
    ('fs.aio-max-nr', 'aio', 'io_setup fails with EAGAIN'),
    ('fs.inotify.max_user_instances', None, 'per user: inotify_init gives EMFILE'),
    ('fs.inotify.max_user_watches', None, 'per user: a new watch gives ENOSPC'),
    ('fs.pipe-user-pages-soft', None, 'per user: later pipes are tiny'),
    ('kernel.sem', 'sem', '4th, sets: semget gives ENOSPC'),
    ('kernel.msgmni', 'msg', 'queues: msgget gives ENOSPC'),
    ('kernel.msgmnb', None, 'bytes in one queue: msgsnd waits'),
    ('kernel.shmmni', 'shm', 'segments: shmget gives ENOSPC'),
    ('kernel.pty.max', 'pty', 'terminals: ssh, openpty give ENOSPC'),
    ('user.max_pid_namespaces', None, 'per user: containers give ENOSPC'),
    ('user.max_user_namespaces', None, '0: no containers without root'),
    ('net.core.somaxconn', None, 'cap of each accept queue'),
    ('net.core.netdev_max_backlog', None, 'packets per CPU, then drops'),
    ('net.ipv4.ip_local_port_range', 'ports', 'used up: connect gives EADDRNOTAVAIL'),
    ('net.ipv4.tcp_max_syn_backlog', None, 'half-open ones; more are dropped'),
    ('net.ipv4.tcp_syn_retries', None, 'connect waits 2^(n+1)-1 s (6: 127 s)'),
    ('net.ipv4.tcp_retries2', None, 'a dead peer is noticed after (15: 924 s and more)'),
    ('net.ipv4.tcp_keepalive_time', None, 's idle until probed (SO_KEEPALIVE)'),
    ('net.ipv4.tcp_keepalive_intvl', None, 's between probes'),
    ('net.ipv4.tcp_keepalive_probes', None, 'unanswered, until ETIMEDOUT'),
    ('net.ipv4.tcp_tw_reuse', None, '1: connect may reuse TIME_WAIT ports'),
    ('net.ipv4.tcp_fin_timeout', None, 's that an orphan stays in FIN_WAIT2'),
    ('net.ipv4.tcp_max_orphans', 'orphans', 'closed, still sending; more are reset'),
    ('net.ipv4.tcp_max_tw_buckets', 'timewait', 'TIME_WAIT entries kept'),
    ('net.ipv4.tcp_mem', 'tcp_pages', 'pages: low, pressure, max'),
    ('net.netfilter.nf_conntrack_max', 'conntrack', 'more connections are dropped'),
)
# Settings whose use is itself a file of /proc/sys, or another file.
SETTING_USE_FILES = ('proc/sys/fs/file-nr', 'proc/sys/fs/aio-nr', 'proc/sys/kernel/pty/nr', 'proc/sys/net/netfilter/nf_conntrack_count',
                     'proc/sysvipc/sem', 'proc/sysvipc/msg', 'proc/sysvipc/shm')
# Filesystems whose server may be gone: a touch of them can hang in D. fuse.* and nfs* are matched by their beginning.
HANGS_ON = {'nfs': 'server', 'cifs': 'server', 'smb': 'server', 'ceph': 'server', 'fuse': 'userspace server', '9p': 'server', 'afs': 'server',
                       'autofs': 'automounter', 'lustre': 'server', 'gpfs': 'cluster', 'ocfs2': 'cluster', 'gfs': 'cluster', 'glusterfs': 'server',
                       'virtiofs': 'the virtual machine\'s host', 'beegfs': 'server', 'orangefs': 'server', 'pvfs2': 'server', 'coda': 'server',
                       'vboxsf': 'the virtual machine\'s host', 'davfs': 'server'}
# Not those, though they begin alike.
NEVER_HANGING = ('fusectl', 'nfsd')
MOST_PROCESSES = 20000
HOST_STATE_WORDS = (('R', 'running'), ('S', 'asleep'), ('D', 'in D'), ('T', 'stopped'), ('t', 'traced'), ('Z', 'zombies'), ('I', 'idle kernel threads'), ('X', 'ending'))


def sys_path(name):
    """'kernel.pid_max' -> its virtual path."""
    return 'proc/sys/' + name.replace('.', '/')


def hangs_on(fstype):
    """What a filesystem of this type depends on; '' when it is local."""
    if fstype in NEVER_HANGING:
        return ''
    return next((what for begin, what in HANGS_ON.items() if fstype == begin or fstype.startswith(begin)), '')


def first_read(reader, paths):
    """(path, data) of the first that can be read, (None, None) otherwise."""
    for path in paths:
        data = reader.read(path, 1 << 26)
        if data is not None:
            return path, data
    return None, None


MOVING_HOST_FILES = ('proc/stat', 'proc/vmstat', 'proc/interrupts', 'proc/softirqs', 'proc/pressure/cpu', 'proc/pressure/memory', 'proc/pressure/io',
                     'proc/pressure/irq')
STILL_HOST_FILES = ('proc/loadavg', 'proc/meminfo', 'proc/uptime', 'proc/cpuinfo', 'proc/version', 'proc/cmdline', 'proc/swaps',
                    'sys/devices/system/cpu/online', 'proc/sys/kernel/hostname', 'proc/sys/kernel/arch', 'proc/sys/kernel/tainted')


def host_look(reader, paths):
    """{path: text} of what can be read. A read of 4 MiB or more from /proc/sys fails with ENOMEM, however short the value."""
    found = {}
    for path in paths:
        data = reader.read(path, 1 << 16 if path.startswith('proc/sys/') else 1 << 24)
        if data is not None:
            found[path] = text(data)
    return found


def state_and_name(data):
    """(state, comm) from a stat line; the name ends at the last ')'. (None, None) for rubbish."""
    line = text(data)
    start, end = line.find('('), line.rfind(')')
    rest = line[end + 1:].split()
    return (rest[0], line[start + 1:end]) if 0 <= start < end and rest else (None, None)


def states_of_all(reader, pids):
    """{pid: (state, comm)} of the main threads; 1 file a process, at most MOST_PROCESSES."""
    found = {}
    for pid in pids[:MOST_PROCESSES]:
        data = reader.read('proc/%d/stat' % pid, 4096)
        state, name = state_and_name(data) if data is not None else (None, None)
        if state:
            found[pid] = (state, name)
    return found


def collect_system(reader, watch=1.0):
    """Everything of the host, in two looks -> a plain dict that is printed, or given as JSON. Without a second look (watch 0, most snapshots)
    nothing is said of rates."""
    began = time.monotonic() if reader.live else 0.0
    first = host_look(reader, STILL_HOST_FILES + MOVING_HOST_FILES)
    pids = sorted(int(n) for n in reader.names('proc') or () if n.isdigit() and len(n) < 12)
    states = states_of_all(reader, pids)
    tcp_paths = [first_read(reader, ['proc/1/net/' + n, 'proc/self/net/' + n, 'proc/net/' + n]) for n in ('tcp', 'tcp6', 'sockstat', 'sockstat6')]
    mounts_path, mounts = first_read(reader, ['proc/1/mountinfo', 'proc/self/mountinfo'])
    if mounts is None and not reader.live:
        mounts_path, mounts = first_read(reader, ['proc/%d/mountinfo' % pid for pid in pids])
    settings = host_look(reader, [sys_path(name) for name, _, _ in SETTINGS if is_plain_setting(reader, name)])
    uses = host_look(reader, [p for p in SETTING_USE_FILES if not p.endswith('conntrack_count') or sys_path('net.netfilter.nf_conntrack_max') in settings])
    seconds = second_look(reader, watch, began)
    later = host_look(reader, MOVING_HOST_FILES) if seconds else {}
    again = states_of_all(reader, [p for p in states if states[p][0] == 'D']) if seconds else None
    reader.at(0)
    facts = system_facts(first, later, seconds, states, again, tcp_paths, mounts_path, mounts, settings, uses)
    return dict(facts, gaps=system_gaps(reader))


def second_look(reader, watch, began):
    """Wait until a live watch is over, or turn a snapshot to its last look -> seconds since the first; None when there is none."""
    if not reader.live:
        looks = reader.later_looks()
        reader.at(looks[-1] if looks else 0)
        return looks[-1] / 1000.0 if looks else None
    if watch <= 0:
        return None
    time.sleep(max(0.0, began + watch - time.monotonic()))
    seconds = time.monotonic() - began
    reader.at(int(seconds * 1000))
    return seconds


# Absent on many kernels, or asked for in the next place: no word under NOT READ.
EXPECTED_GAPS = re.compile(r'proc/(1|self|net)/|proc/sys(vipc)?/|proc/pressure/irq|sys/')


def gap_error(reader, path):
    """The errno name of a read that failed, '' when it did not."""
    gap = reader.gaps.get(path)
    return getattr(gap, 'error', gap) or ''


def system_gaps(reader):
    """[{'path', 'error', 'remedy'}] of the files of the host that could not be read: not those that this kernel lacks."""
    found = []
    for path in sorted(reader.gaps):
        error = gap_error(reader, path)
        if path.startswith('later/') or re.match(r'proc/\d+/', path) and not path.startswith('proc/1/') or (error in ('ENOENT', 'ABSENT') and EXPECTED_GAPS.match(path)):
            continue
        found.append({'path': source_name(path), 'error': error, 'remedy': 'run it as root' if error in ('EACCES', 'EPERM') else ''})
    return found


def is_plain_setting(reader, name):
    """Only ask for conntrack's setting where the module is loaded: its absence is the rule, and no gap."""
    return not name.startswith('net.netfilter.') or bool(reader.names('proc/sys/net/netfilter'))


def system_facts(first, later, seconds, states, again, tcp_paths, mounts_path, mounts, settings, uses):
    """The looks of collect_system, parsed and joined; pure."""
    def parsed(path, function, files=first):
        return function(files[path].encode('utf-8', 'surrogateescape')) if path in files else None
    stat = parsed('proc/stat', parse_host_stat) or {'cpu': {}, 'cpus': 0}
    version = parsed('proc/version', parse_version) or {'release': None, 'text': None}
    facts = {'seconds': seconds, 'kernel': version, 'hostname': first.get('proc/sys/kernel/hostname', '').strip() or None,
             'arch': first.get('proc/sys/kernel/arch', '').strip() or None, 'tainted': number(first.get('proc/sys/kernel/tainted', '').strip()),
             'cmdline': redact_text(first['proc/cmdline'].strip()) if 'proc/cmdline' in first else None,
             'uptime_s': (parsed('proc/uptime', parse_uptime) or (None,))[0], 'cpu': cpu_facts(first, later, stat, parsed, seconds),
             'load': load_facts(parsed('proc/loadavg', parse_loadavg), stat, later, parsed, states, again),
             'memory': host_memory(parsed('proc/meminfo', parse_meminfo) or {}), 'swaps': [s._asdict() for s in parsed('proc/swaps', parse_swaps) or ()],
             'vm': vm_facts(parsed('proc/vmstat', parse_vmstat) or {}, parsed('proc/vmstat', parse_vmstat, later) or {}),
             'pressure': {k: pressure_facts(first['proc/pressure/' + k], later.get('proc/pressure/' + k), seconds)
                          for k in ('cpu', 'memory', 'io', 'irq') if 'proc/pressure/' + k in first},
             'interrupts': interrupt_facts(parsed('proc/interrupts', parse_interrupts), parsed('proc/interrupts', parse_interrupts, later), seconds),
             'softirqs': interrupt_facts(parsed('proc/softirqs', parse_softirqs), parsed('proc/softirqs', parse_softirqs, later), seconds),
             'mounts': mount_facts(mounts_path, mounts), 'tcp': tcp_facts(tcp_paths)}
    facts['settings'] = setting_facts(settings, uses, facts)
    return dict(facts, findings=[finding_dict(f) for f in system_findings(facts)])


def finding_dict(f):
    """A Finding as JSON has it."""
    return dict(f._asdict(), evidence=[e._asdict() for e in f.evidence], next=list(f.next))


def cpu_facts(first, later, stat, parsed, seconds):
    """Model, CPUs online, and what they did over the watch in percent of all of them."""
    info = parsed('proc/cpuinfo', parse_cpuinfo) or {'model': None, 'count': 0}
    after = (parsed('proc/stat', parse_host_stat, later) or {}).get('cpu') or {}
    rise = {k: max(0, after[k] - stat['cpu'][k]) for k in after if k in stat['cpu'] and k not in ('guest', 'guest_nice')}
    total = sum(rise.values())
    online = cpu_list_count(first.get('sys/devices/system/cpu/online', '')) or stat['cpus'] or info['count'] or None
    return {'model': info['model'], 'online': online, 'watch_pct': {k: 100.0 * v / total for k, v in rise.items()} if total else None}


def load_facts(loadavg, stat, later, parsed, states, again):
    """The load, and what it is made of now. stuck: main threads in D in both looks (in the one look, where there is no second)."""
    d_now = sorted(p for p, (state, _) in states.items() if state == 'D')
    both = [p for p in d_now if again.get(p, ('',))[0] == 'D'] if again is not None else None
    after = parsed('proc/stat', parse_host_stat, later) or {}
    counts = collections.Counter(state for state, _ in states.values())
    return {'avg1': loadavg.avg1 if loadavg else None, 'avg5': loadavg.avg5 if loadavg else None, 'avg15': loadavg.avg15 if loadavg else None,
            'runnable': loadavg.runnable if loadavg else None, 'tasks': loadavg.total if loadavg else None,
            'last_pid': loadavg.last_pid if loadavg else None, 'procs_running': [stat.get('procs_running'), after.get('procs_running')],
            'procs_blocked': [stat.get('procs_blocked'), after.get('procs_blocked')], 'processes': len(states), 'states': dict(counts),
            'd_now': [{'pid': p, 'comm': states[p][1]} for p in d_now],
            'stuck': [{'pid': p, 'comm': states[p][1]} for p in both] if both is not None else None,
            'forks_since_boot': stat.get('processes'), 'btime': stat.get('btime'),
            'ctxt': grown(after.get('ctxt'), stat.get('ctxt'))}


def host_memory(m):
    """The columns of `free`, kB: used is total less available (procps 4), buff/cache is Buffers, Cached and SReclaimable."""
    total, available = m.get('MemTotal'), m.get('MemAvailable')
    known = [m[k] for k in ('Buffers', 'Cached', 'SReclaimable') if k in m]
    return {'total_kB': total, 'used_kB': total - available if None not in (total, available) else None, 'free_kB': m.get('MemFree'),
            'shared_kB': m.get('Shmem'), 'buff_cache_kB': sum(known) if known else None, 'available_kB': available,
            'available_pct': part_percent(available, total), 'swap_total_kB': m.get('SwapTotal'), 'swap_free_kB': m.get('SwapFree'),
            'swap_used_kB': m['SwapTotal'] - m['SwapFree'] if 'SwapTotal' in m and 'SwapFree' in m else None, 'dirty_kB': m.get('Dirty'),
            'writeback_kB': m.get('Writeback'), 'slab_unreclaimable_kB': m.get('SUnreclaim'), 'committed_kB': m.get('Committed_AS'),
            'commit_limit_kB': m.get('CommitLimit')}


VM_COUNTERS = ('pswpin', 'pswpout', 'pgmajfault', 'oom_kill', 'pgscan_direct', 'compact_stall')


def vm_facts(before, after):
    """Totals since boot and growth over the watch of the counters that tell of memory trouble; pages and events."""
    direct = [sum(v for k, v in look.items() if k.startswith('allocstall')) for look in (before, after)]
    facts = {k: {'total': before[k], 'watch': grown(after.get(k), before[k])} for k in VM_COUNTERS if k in before}
    facts['allocstall'] = {'total': direct[0], 'watch': grown(direct[1], direct[0]) if after else None}
    return facts


def interrupt_facts(before, after, seconds):
    """The busiest first: by rate over the watch, where there was one, else by total."""
    if before is None:
        return None
    later = {(i.name, i.what): i.total for i in after or ()}
    rows = [{'name': i.name, 'what': i.what, 'total': i.total,
             'per_s': (grown(later.get((i.name, i.what)), i.total) or 0) / seconds if after and seconds else None} for i in before]
    return sorted(rows, key=lambda r: (-(r['per_s'] or 0), -r['total']))


def mount_facts(path, data):
    """The mounts of the host's first namespace; what each can hang on. None of them is touched: no statfs, no listing."""
    if data is None:
        return None
    rows = []
    for m in parse_mountinfo(data):
        on = hangs_on(m.fstype)
        options = [o for o in m.super_options.split(',') if re.match(r'(hard|soft|softerr|timeo|retrans|vers|proto|intr)\b', o)] if on else []
        rows.append({'point': m.mountpoint, 'fstype': m.fstype, 'source': redact_text(m.source), 'options': options, 'hangs_on': on, 'read_only':
                     'ro' in m.options.split(',')})
    return {'path': source_name(path), 'count': len(rows), 'can_hang': [r for r in rows if r['hangs_on']],
            'types': dict(collections.Counter(r['fstype'] for r in rows))}


def tcp_facts(paths):
    """Connections by state with their queues, the fullest, and the sums of sockstat; of the network namespace of the files named."""
    (p4, d4), (p6, d6), (ps, ds), (p6s, d6s) = paths
    if d4 is None and d6 is None and ds is None:
        return None
    states, worst, remotes, local_ports = {}, [], collections.Counter(), set()
    for data in (d4, d6):
        for local, remote, state, tx, rx in tcp_rows(data) if data is not None else ():
            entry = states.setdefault(TCP_STATE_CODES.get(state, state), {'count': 0, 'recv_q': 0, 'send_q': 0})
            entry['count'], entry['recv_q'], entry['send_q'] = entry['count'] + 1, entry['recv_q'] + rx, entry['send_q'] + tx
            if (rx or tx) and state != '06':
                worst.append((rx + tx, local, remote, TCP_STATE_CODES.get(state, state), rx, tx))
            if state != '0A':
                remotes[remote, local.partition(':')[0]] += 1
                local_ports.add(number(local.rpartition(':')[2], 16))
    stat = parse_sockstat(ds) if ds is not None else {}
    stat6 = parse_sockstat(d6s) if d6s is not None else {}
    busiest = remotes.most_common(1)[0] if remotes else None
    return {'paths': [source_name(p) for p in (p4, p6, ps, p6s) if p], 'states': states,
            'queues': [{'local': tcp_end(w[1]), 'remote': tcp_end(w[2]), 'state': w[3], 'recv_q': w[4], 'send_q': w[5]}
                       for w in sorted(worst, key=lambda w: -w[0])[:8]],
            'local_ports': sorted(p for p in local_ports if p is not None) if len(local_ports) < 70000 else [],
            'busiest_remote': {'remote': tcp_end(busiest[0][0]), 'count': busiest[1]} if busiest else None,
            'sockets_used': stat.get('sockets', {}).get('used'), 'inuse': stat.get('TCP', {}).get('inuse'), 'inuse6': stat6.get('TCP6', {}).get('inuse'),
            'orphan': stat.get('TCP', {}).get('orphan'), 'tw': stat.get('TCP', {}).get('tw'), 'alloc': stat.get('TCP', {}).get('alloc'),
            'mem_pages': stat.get('TCP', {}).get('mem'), 'udp_inuse': stat.get('UDP', {}).get('inuse')}


def ipc_count(uses, name):
    """The lines of /proc/sysvipc/NAME below its header: objects in the reader's IPC namespace."""
    whole = uses.get('proc/sysvipc/' + name)
    return max(0, len([line for line in whole.split('\n') if line.strip()]) - 1) if whole is not None else None


def setting_use(uses, facts):
    """{use key: number} of SETTINGS: what counts against them now."""
    def word(path, position=0):
        words = uses.get(path, '').split()
        return number(words[position]) if len(words) > position else None
    allocated, free = word('proc/sys/fs/file-nr'), word('proc/sys/fs/file-nr', 1)
    tcp = facts['tcp'] or {}
    return {'tasks': facts['load']['tasks'], 'files': allocated - (free or 0) if allocated is not None else None, 'aio': word('proc/sys/fs/aio-nr'),
            'pty': word('proc/sys/kernel/pty/nr'), 'conntrack': word('proc/sys/net/netfilter/nf_conntrack_count'), 'sem': ipc_count(uses, 'sem'),
            'msg': ipc_count(uses, 'msg'), 'shm': ipc_count(uses, 'shm'), 'orphans': tcp.get('orphan'), 'timewait': tcp.get('tw'),
            'tcp_pages': tcp.get('mem_pages')}


def setting_limit(name, words):
    """The number that the use is held against: of kernel.sem the 4th, of tcp_mem the last, of the port range its width."""
    values = [number(w) for w in words.split()]
    if not values or None in values:
        return None
    if name == 'net.ipv4.ip_local_port_range':
        return values[1] - values[0] + 1 if len(values) == 2 else None
    return values[-1]


def setting_facts(settings, uses, facts):
    """[{'name', 'value', 'use', 'use_pct', 'what', 'source'}] of those that this kernel has."""
    counted = setting_use(uses, facts)
    rows = []
    for name, key, what in SETTINGS:
        if sys_path(name) not in settings:
            continue
        value = ' '.join(settings[sys_path(name)].split())
        use, limit = counted.get(key) if key else None, setting_limit(name, value)
        if key == 'ports':
            use = ports_in_range(value, facts['tcp'])
        rows.append({'name': name, 'value': value, 'use': use, 'use_pct': part_percent(use, limit) if key else None, 'what': what,
                     'source': source_name(sys_path(name))})
    return rows


def ports_in_range(value, tcp):
    """Local ports of the range that TCP connections hold now, each counted once."""
    ends = [number(w) for w in value.split()]
    if len(ends) != 2 or None in ends or not tcp:
        return None
    return len([p for p in tcp['local_ports'] if ends[0] <= p <= ends[1]])


# What is wrong with a host. Each function: facts of collect_system in, findings out.

def host_finding(code, severity, confidence, summary, evidence, steps=(), pids=()):
    return Finding(code, severity, confidence, summary, [Evidence(*e) for e in evidence], list(steps), [], list(pids))


def host_load(facts):
    """Load far above the CPUs: with tasks in D, storage or a server keeps them; with many runnable, the CPUs are too few. A high average
    alone is the past."""
    load, cpus = facts['load'], facts['cpu']['online']
    if load['avg1'] is None or not cpus:
        return []
    stuck = load['d_now'] if load['stuck'] is None else load['stuck']
    names = ', '.join('%d %s' % (d['pid'], safe(d['comm'])) for d in stuck[:4]) + (' ...' if len(stuck) > 4 else '')
    words = 'load %.2f on %d CPUs' % (load['avg1'], cpus)
    running = [n for n in load['procs_running'] if n is not None]
    if load['avg1'] > 2 * cpus and len(stuck) >= max(2, cpus):
        return [host_finding('pressure', 'warning', 'likely', '%s, and %d processes wait in D: for storage or a server, not for a CPU' % (words, len(stuck)),
                        [(names, '%d/stat' % stuck[0]['pid']), (words, 'loadavg')], ['python3 procdoc.py %d' % stuck[0]['pid']], [d['pid'] for d in stuck])]
    if load['avg1'] > 4 * cpus and running and min(running) > 3 * cpus:
        return [host_finding('pressure', 'warning', 'likely', '%s: more tasks want to run (%d) than there are CPUs' % (words, min(running)),
                        [(words, 'loadavg'), ('procs_running %d' % min(running), 'stat')], ['top -o %CPU'])]
    if stuck:
        return [host_finding('wait-kernel', 'note', 'possible', '%d process%s in D%s: %s' % (len(stuck), '' if len(stuck) == 1 else 'es',
                        '' if load['stuck'] is None else ' in both looks', names), [(names, '%d/stat' % stuck[0]['pid'])],
                        ['python3 procdoc.py %d' % stuck[0]['pid']], [d['pid'] for d in stuck])]
    return []


def host_out_of_memory(facts):
    """Available memory under 5 %, the OOM killer at work, or no more commit under strict overcommit."""
    m, found = facts['memory'], []
    kills = (facts['vm'].get('oom_kill') or {})
    if kills.get('watch'):
        found.append(host_finding('memory-limit', 'warning', 'proven', 'the OOM killer killed %d during the watch' % kills['watch'],
                             [('oom_kill +%d' % kills['watch'], 'vmstat')], ['dmesg -T | grep -i "killed process"']))
    stall = facts['pressure'].get('memory', {}).get('full_avg10') or 0
    if m['available_pct'] is not None and m['available_pct'] < 5:
        found.append(host_finding('memory-limit', 'critical' if stall >= 20 and m['available_pct'] < 3 else 'warning', 'likely',
                             'the host is nearly out of memory: %s available of %s (%.1f %%)'
                             % (bytes_text(m['available_kB'] * 1024), bytes_text(m['total_kB'] * 1024), m['available_pct']),
                             [('MemAvailable %d kB' % m['available_kB'], 'meminfo')], ['ps -eo pid,rss,comm --sort -rss | head']))
    strict = any(s['name'] == 'vm.overcommit_memory' and s['value'] == '2' for s in facts['settings'])
    share = part_percent(m['committed_kB'], m['commit_limit_kB'])
    if strict and share is not None and share >= 95:
        found.append(host_finding('memory-limit', 'warning', 'likely', 'strict overcommit: %.0f %% of CommitLimit is promised, allocations fail' % share,
                             [('Committed_AS %d kB of %d kB' % (m['committed_kB'], m['commit_limit_kB']), 'meminfo')]))
    return found


def host_swap(facts):
    """Pages going to and from swap now, by the hundred a second; swap that is merely in use is no trouble."""
    rates = [(facts['vm'].get(k) or {}).get('watch') for k in ('pswpin', 'pswpout')]
    if not facts['seconds'] or None in rates:
        return []
    rate = sum(rates) / facts['seconds']
    if rate < 250 or not rates[0]:
        return []
    return [host_finding('swapping', 'warning' if rate >= 1000 else 'note', 'likely', 'the host swaps: %.0f pages a second' % rate,
                    [('pswpin +%d, pswpout +%d in %.1f s' % (rates[0], rates[1], facts['seconds']), 'vmstat')], ['vmstat 1'])]


def host_stalls(facts):
    """PSI of the host, by the rows of rule_pressure; and CPUs that the hypervisor gives to others."""
    found = [host_finding('pressure', 'warning', 'likely', 'all tasks that could work stall for %s %.0f %% of the time' % (resource, average),
                     [('%s avg10 %.1f %%' % (kind, average), 'pressure/' + resource)]) for resource, kind, average, _ in high_pressure(facts['pressure'])]
    steal = (facts['cpu']['watch_pct'] or {}).get('steal', 0)
    if steal >= 20:
        found.append(host_finding('cpu-starved', 'warning', 'likely', 'the hypervisor kept back %.0f %% of the CPU time (steal)' % steal,
                             [('steal %.0f %% over the watch' % steal, 'stat')]))
    return found


# A use this near to its setting is a finding. Name, code, percent for a warning, what fails.
SETTING_ALARMS = (('kernel.pid_max', 'pids-limit', 90), ('kernel.threads-max', 'pids-limit', 90), ('fs.file-max', 'fd-high', 80),
                  ('net.ipv4.tcp_max_orphans', 'pressure', 75), ('net.ipv4.tcp_mem', 'pressure', 90), ('net.ipv4.ip_local_port_range', 'pressure', 90),
                  ('net.netfilter.nf_conntrack_max', 'pressure', 90), ('kernel.pty.max', 'pressure', 95), ('fs.aio-max-nr', 'pressure', 95),
                  ('kernel.sem', 'pressure', 95), ('kernel.msgmni', 'pressure', 95), ('kernel.shmmni', 'pressure', 95))


def host_settings_near(facts):
    """Settings that use has all but reached. At 99 % of the files, ENFILE is what every process gets."""
    found = []
    by_name = {s['name']: s for s in facts['settings']}
    for name, code, least in SETTING_ALARMS:
        s = by_name.get(name)
        if s is None or s['use_pct'] is None or s['use_pct'] < least:
            continue
        full = s['use_pct'] >= 99
        code = 'fd-exhausted' if full and code == 'fd-high' else code
        found.append(host_finding(code, 'critical' if full and code in ('fd-exhausted', 'pids-limit') else 'warning', 'likely',
                             '%s: %d in use, %.0f %% of %s (%s)' % (name, s['use'], s['use_pct'], s['value'], s['what']),
                             [('%s = %s' % (name, s['value']), s['source'])], ['sysctl -w %s=N lasts until the next boot' % name]))
    return found


SYSTEM_RULES = (host_out_of_memory, host_load, host_stalls, host_swap, host_settings_near)
SEVERITY_ORDER = ('critical', 'warning', 'note')


def system_findings(facts):
    """Worst first; never empty."""
    found = [f for rule in SYSTEM_RULES for f in rule(facts)]
    found.sort(key=lambda f: SEVERITY_ORDER.index(f.severity))
    return found or [host_finding('healthy', 'note', 'likely', 'nothing wrong with the host was found', [])]


def system_status(facts):
    """The exit status: 1 for a warning or worse, 4 where nothing could be read, else 0."""
    if facts['load']['avg1'] is None and facts['memory']['total_kB'] is None and facts['kernel']['text'] is None:
        return 4
    return 1 if any(f['severity'] in ('critical', 'warning') for f in facts['findings']) else 0


# The screen of `system`: a list of lines for each section, none wider than the width.

def wrapped(line, width, indent):
    """A line cut at spaces into lines of at most width, the later ones indented; a word longer than that is cut."""
    import textwrap
    return textwrap.wrap(line, width, subsequent_indent=' ' * indent, break_on_hyphens=False) or ['']


def shown(value, form='%s'):
    """A figure, or '?' where it is unknown."""
    return form % value if value is not None else '?'


def host_duration(seconds):
    """93784 -> '1 d 2 h 3 min'; '?' for None."""
    if seconds is None:
        return '?'
    days, rest = divmod(int(seconds), 86400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    parts = [(days, 'd'), (hours, 'h'), (minutes, 'min')]
    return ' '.join('%d %s' % p for p in parts if p[0]) or '%d s' % seconds


def format_system(facts, width=80):
    """The report as lines. Foreign words (comm, mount points, command line) pass through safe()."""
    width = max(40, min(width, 100))
    head = '%s %s, up %s, %s' % (safe(shown(facts['hostname'])), safe('Linux ' + shown(facts['kernel']['release'])), host_duration(facts['uptime_s']),
                                 'watched %.1f s' % facts['seconds'] if facts['seconds'] else 'read once')
    lines = wrapped(head, width, 4)
    for title, body in (('DIAGNOSIS', show_findings), ('CPU AND LOAD', show_load), ('MEMORY', show_memory), ('PRESSURE', show_pressure), ('TCP', show_tcp),
                        ('MOUNTS', show_mounts), ('INTERRUPTS', show_interrupts), ('KERNEL', show_kernel), ('KERNEL SETTINGS', show_settings), ('NOT READ', show_gaps)):
        rows = body(facts)
        lines += ['', title] if rows else []
        for line in rows:
            lines += two_columns(line[0], line[1], width) if isinstance(line, tuple) else wrapped('  ' + line, width, 6)
    return lines


def two_columns(left, right, width, at=44):
    """'  left      right', the right one wrapped in its column, below a left one that is too long for it."""
    if width < at + 20:
        return wrapped('  %s: %s' % (left, right), width, 6)
    lines = wrapped(right, width - at, 0)
    if len(left) + 4 > at:
        lines.insert(0, '')
    return [('  %-*s' % (at - 2, left if i == 0 else '') + line).rstrip() for i, line in enumerate(lines)]


def show_findings(facts):
    rows = []
    for f in facts['findings']:
        rows.append('%-8s %s  [%s, %s]' % (f['severity'].upper(), f['summary'], f['code'], f['confidence']))
        rows += ['         %s (%s)' % (e['text'], e['source']) for e in f['evidence']]
        rows += ['         next: %s' % step for step in f['next']]
    return rows


def show_load(facts):
    load, cpu = facts['load'], facts['cpu']
    rows = ['%s CPUs online: %s' % (shown(cpu['online']), safe(shown(cpu['model'])))]
    if cpu['watch_pct']:
        busy = sorted(cpu['watch_pct'].items(), key=lambda kv: -kv[1])
        rows.append('over the watch: %s  (stat)' % ', '.join('%s %.0f %%' % kv for kv in busy if kv[1] >= 0.5))
    rows.append('load average %s %s %s (1, 5, 15 min): tasks that run, want to run, or wait in D; compare with %s CPUs'
                % (shown(load['avg1'], '%.2f'), shown(load['avg5'], '%.2f'), shown(load['avg15'], '%.2f'), shown(cpu['online'])))
    rows.append('now %s runnable of %s tasks (threads), last PID given %s  (loadavg)' % (shown(load['runnable']), shown(load['tasks']), shown(load['last_pid'])))
    states = ['%d %s' % (load['states'][state], word) for state, word in HOST_STATE_WORDS if load['states'].get(state)]
    rows.append('%d processes, by their main threads: %s  (PID/stat)' % (load['processes'], ', '.join(states)))
    blocked = [n for n in load['procs_blocked'] if n is not None]
    if blocked and max(blocked):
        rows.append('tasks waiting for disk I/O: %s  (stat: procs_blocked)' % ', then '.join(str(n) for n in blocked))
    return rows


def show_memory(facts):
    m = facts['memory']
    def kB(key):
        return shown(m[key], '%d')
    rows = ['%10s %11s %11s %11s %11s %11s' % ('', 'total', 'used', 'free', 'buff/cache', 'available'),
            '%-10s %11s %11s %11s %11s %11s kB' % ('Mem', kB('total_kB'), kB('used_kB'), kB('free_kB'), kB('buff_cache_kB'), kB('available_kB')),
            '%-10s %11s %11s %11s' % ('Swap', kB('swap_total_kB'), kB('swap_used_kB'), kB('swap_free_kB')),
            'available: what programs can still get without swapping, %s; most of buff/cache is given back when asked for. free is memory that '
            'nothing uses yet: little of it is normal  (meminfo)' % shown(m['available_pct'], '%.0f %% of all')]
    rows += ['swap %s: %d of %d kB' % (safe(s['filename']), s['used_kB'], s['size_kB']) for s in facts['swaps'][:4]]
    moved = ['%s +%d' % (k, v['watch']) for k, v in sorted(facts['vm'].items()) if v['watch']]
    total = ['%s %d' % (k, facts['vm'][k]['total']) for k in ('oom_kill',) if facts['vm'].get(k, {}).get('total')]
    if moved or total:
        rows.append('over the watch: %s%s  (vmstat)' % (', '.join(moved) or 'nothing', '; since boot: ' + ', '.join(total) if total else ''))
    return rows


def show_pressure(facts):
    if not facts['pressure']:
        return ['not known: no PSI (kernel before 4.20, or psi=0)']
    rows = ['%-7s %9s %9s %9s %9s   percent of the time in which' % ('', 'some 10s', 'full 10s', 'some now', 'full now')]
    notes = {'cpu': 'some task waited for a CPU', 'memory': 'some / all waited for memory', 'io': 'some / all waited for I/O', 'irq': 'all waited for interrupts'}
    for kind, p in facts['pressure'].items():
        figures = [shown(p[k], '%.2f') if p[k] is not None else '-' for k in ('some_avg10', 'full_avg10', 'some_watch_pct', 'full_watch_pct')]
        rows.append('%-7s %9s %9s %9s %9s   %s' % tuple([kind] + figures + [notes[kind]]))
    return rows


def show_tcp(facts):
    tcp = facts['tcp']
    if tcp is None:
        return ['not known: net/tcp could not be read']
    rows = ['%-12s %7s %10s %10s' % ('state', 'count', 'Recv-Q', 'Send-Q')]
    rows += ['%-12s %7d %10d %10d' % (name, s['count'], s['recv_q'], s['send_q']) for name, s in sorted(tcp['states'].items(), key=lambda kv: -kv[1]['count'])]
    rows += ['the fullest:        Recv-Q     Send-Q  local > remote'] if tcp['queues'] else []
    rows += ['%-15s %10d %10d  %s > %s' % (q['state'], q['recv_q'], q['send_q'], q['local'], q['remote']) for q in tcp['queues'][:4]]
    rows.append('sockets used %s; TCP in use %s + %s (IPv6), orphaned %s, timewait %s, memory %s pages'
                % tuple(shown(tcp[k]) for k in ('sockets_used', 'inuse', 'inuse6', 'orphan', 'tw', 'mem_pages')))
    rows.append('of LISTEN, Recv-Q counts connections that the program has not accepted  (%s)' % ', '.join(tcp['paths']))
    return rows


def show_mounts(facts):
    mounts = facts['mounts']
    if mounts is None:
        return ['not known: no mountinfo could be read']
    rows = ['%d mounts, %d of them can hang (not touched; a process that touches one may go to D)  (%s)'
            % (mounts['count'], len(mounts['can_hang']), mounts['path'])]
    for m in mounts['can_hang'][:20]:
        rows.append('%s %s from %s: depends on its %s%s' % (m['fstype'], safe(m['point']), safe(m['source']), m['hangs_on'].replace('the ', ''),
                                                      ' [%s]' % safe(','.join(m['options'])) if m['options'] else ''))
    return rows


def show_interrupts(facts):
    rows = facts['interrupts']
    if rows is None:
        return ['not known']
    line = '%6s %10s %14s  %s'
    shown_rows = [line % ('', 'per s', 'since boot', '')]
    shown_rows += [line % (safe(r['name']), shown(r['per_s'], '%.0f') if r['per_s'] is not None else '-', r['total'], safe(r['what'], 44)) for r in rows[:6]]
    soft = [r for r in facts['softirqs'] or () if r['per_s'] or (r['per_s'] is None and r['total'])][:5]
    shown_rows.append('softirqs: %s' % (', '.join('%s %s' % (safe(r['name']), '%.0f/s' % r['per_s'] if r['per_s'] is not None else r['total']) for r in soft) or 'none'))
    return shown_rows + ['(interrupts, softirqs)']


def show_kernel(facts):
    rows = [safe(shown(facts['kernel']['text']), 400) + '  (version)']
    rows.append('command line: %s  (cmdline)' % safe(shown(facts['cmdline']), 1000))
    if facts['tainted']:
        rows.append('tainted %d: out-of-tree or broken parts, see "explain tainted"' % facts['tainted'])
    return rows


def show_settings(facts):
    """Two columns: the setting in force with its use, and what it does."""
    rows = []
    for s in facts['settings']:
        use = ' (%d used)' % s['use'] if s['use'] is not None else ''
        rows.append(('%s = %s%s' % (s['name'], safe(s['value'], 40), use), s['what']))
    return rows + ['A write to /proc/sys (sysctl -w) does not outlive a reboot; a line in /etc/sysctl.d/*.conf does. net.* are of the network namespace '
                   'that was read; a container may have its own.']


def show_gaps(facts):
    return ['%s: %s%s' % (safe(g['path']), g['error'], ' (%s)' % g['remedy'] if g['remedy'] else '') for g in facts['gaps'][:20]]


# ROOM SAME ====================================================================
# The command same: which processes share a container, namespace by namespace.

NAMESPACE_KINDS = ('cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts')


def collect_same(reader, pids):
    """{'pids': [...], 'processes': {pid: {...}}}: names of namespaces by link alone. gone: no such process (any more).

    '' for a namespace is 'this kernel has none of the kind'; None is unknown, with its error in 'errors'.
    """
    return {'pids': list(pids), 'processes': {pid: collect_namespaces(reader, pid) for pid in pids}}


def collect_namespaces(reader, pid):
    """One process of collect_same. A dead main thread has no namespaces: a living thread's are asked."""
    base = 'proc/%d' % pid
    stat = reader.read(base + '/stat', 4096)
    state, name = state_and_name(stat) if stat is not None else (None, None)
    error = gap_error(reader, base + '/stat') if stat is None else ''
    if error in ('ENOENT', 'ESRCH', 'ABSENT'):
        return {'comm': None, 'state': None, 'gone': True, 'ns': {}, 'errors': {}, 'cgroup': None, 'container': None}
    folder = living_folder(reader, base) if state == 'Z' else base
    listed = reader.names(folder + '/ns') or []
    links = {k: reader.link('%s/ns/%s' % (folder, k)) if k in listed or 'ipc' not in listed else '' for k in NAMESPACE_KINDS}
    gaps = {k: gap_error(reader, '%s/ns/%s' % (folder, k)) for k, v in links.items() if v is None}
    data = reader.read(base + '/cgroup')
    lines = parse_cgroup(data) if data is not None else []
    container = container_of([line.path for line in lines])
    mountinfo = None if container and container['runtime'] else reader.read(folder + '/mountinfo')
    return {'comm': name, 'state': state, 'gone': False, 'ns': {k: namespace_number(v) if v else v for k, v in links.items()},
            'errors': gaps, 'cgroup': main_cgroup_path(lines) if data is not None else None,
            'container': container_of_mounts(parse_mountinfo(mountinfo)) or container if mountinfo else container}


def living_folder(reader, base):
    """The task folder of a thread that still lives under a dead main thread; base itself for a zombie."""
    for tid in sorted(reader.names(base + '/task') or ()):
        stat = reader.read('%s/task/%s/stat' % (base, tid), 4096)
        if stat is not None and state_and_name(stat)[0] not in ('Z', 'X', None) and reader.names('%s/task/%s/ns' % (base, tid)):
            return '%s/task/%s' % (base, tid)
    return base


def main_cgroup_path(lines):
    """One path to show for a process: version 2's, systemd's, or else the longest."""
    for wanted in ((), ('name=systemd',)):
        for line in lines:
            if line.controllers == wanted and line.path != '/':
                return line.path
    return max([line.path for line in lines] or [''], key=len)


def compare_namespaces(processes):
    """{kind: 'same' | 'differ' | 'unknown' | 'absent'}; one unreadable among equal ones is unknown, but two known that differ do differ."""
    verdict = {}
    for kind in NAMESPACE_KINDS:
        values = [p['ns'].get(kind) for p in processes]
        known = {v for v in values if v not in (None, '')}
        verdict[kind] = ('differ' if len(known) > 1 else 'unknown' if None in values else 'absent' if not known else 'same')
    return verdict


def same_table(collected):
    """Compare what collect_same read; pure -> {'pids', 'gone', 'rows': [{'what', 'values': [by pid], 'verdict'}], 'shared', 'different',
    'unknown', 'same_container': True, False or None, 'sentence', 'status'}."""
    pids = collected['pids']
    gone = [p for p in pids if collected['processes'][p]['gone']]
    there = [p for p in dict.fromkeys(pids) if p not in gone]
    processes = [collected['processes'][p] for p in there]
    verdict = compare_namespaces(processes) if processes else {}
    rows = [{'what': kind, 'values': [p['ns'].get(kind) for p in processes], 'verdict': verdict.get(kind)} for kind in NAMESPACE_KINDS]
    rows.append(value_row('cgroup path', [p['cgroup'] for p in processes]))
    rows.append(value_row('container', [container_name(p['container']) if p['cgroup'] is not None else None for p in processes]))
    named = {k: [n for n in NAMESPACE_KINDS if verdict.get(n) == k] for k in ('same', 'differ', 'unknown')}
    same = is_same_container(processes, named)
    return {'pids': there, 'comms': [p['comm'] for p in processes], 'gone': gone, 'rows': rows, 'shared': named['same'], 'different': named['differ'],
            'unknown': named['unknown'], 'same_container': same, 'sentence': same_sentence(there, processes, named, same),
            'status': 3 if not there else 4 if not named['same'] + named['differ'] and rows[-2]['verdict'] == 'unknown' else 0}


def value_row(what, values):
    known = {v for v in values if v is not None}
    return {'what': what, 'values': values, 'verdict': 'differ' if len(known) > 1 else 'unknown' if None in values else 'same'}


def container_name(container):
    """'docker 0123456789ab', 'pod UID', '' where nothing names one."""
    if not container or not container['runtime']:
        return ''
    return '%s %s' % (container['runtime'], (container['id'] or '')[:12] or 'pod ' + (container['pod'] or '?'))


def on_host(process):
    """In the first pid and user namespaces, and in no named container: not in a container of its own. None: not known."""
    ns = process['ns']
    if ns.get('pid') is None:
        return None
    return ns['pid'] in ('', FIRST_NAMESPACES['pid']) and not container_name(process['container'])


def container_ids(processes):
    return {(p['container'] or {}).get('id') for p in processes if container_name(p['container'])}


def is_same_container(processes, named):
    """True: all of what makes a container is shared, and it is one; False: something of it differs, or there is none; None: cannot be told.

    A process in it may have a cgroup, user or time namespace of its own and still be of it.
    """
    if len(container_ids(processes)) > 1 or set(named['differ']) - {'cgroup', 'user', 'time'}:
        return False
    if len(processes) < 2 or not {'pid', 'mnt', 'net'} <= set(named['same']):
        return None
    return not any(on_host(p) for p in processes)


def same_sentence(pids, processes, named, same):
    """The answer in one sentence."""
    if len(pids) < 2:
        return 'only one process to look at' if pids else 'none of them exists any more'
    names = {container_name(p['container']) for p in processes}
    one_name = names.pop() if len(names) == 1 else ''
    tail = '; %s could not be read of all' % ', '.join(named['unknown']) if named['unknown'] else ''
    share = 'they share %s' % ', '.join(named['same']) if named['same'] else ''
    if same:
        extra = '; only %s differ' % ', '.join(named['differ']) if named['differ'] else ''
        return 'the same container%s%s%s' % (' (%s)' % one_name if one_name else '', extra, tail)
    if named['differ']:
        return differing_sentence(processes, named, share, tail)
    if same is None and one_name:
        return 'the same container by their control groups (%s)%s' % (one_name, tail)
    if same is False and len(container_ids(processes)) > 1:
        return 'different containers by their control groups%s' % (', though ' + share + tail if share else tail)
    if same is None or named['unknown']:
        return '%s: whether it is the same container cannot be told' % (share + tail if share else tail[2:])
    return 'the same namespaces, those of the host: no container is between them'


def differing_sentence(processes, named, share, tail):
    """Where at least one namespace differs: containers of one pod, or not the same container."""
    differ = 'differ in %s%s' % (', '.join(named['differ']), tail)
    pods = {(p['container'] or {}).get('pod') for p in processes}
    if {'net', 'ipc'} <= set(named['same']) and len(pods) == 1 and None not in pods:
        return 'containers of one pod (%s): %s, and %s' % (pods.pop(), share, differ)
    return 'not the same container: %s' % (share + ', and ' + differ if share else 'they ' + differ)


def format_same(table, width=80):
    """The table, a column for each process (blocks of as many as fit), then the sentence."""
    lines = ['pid %d is gone, or never was' % p for p in table['gone']]
    fit = max(1, (min(max(width, 40), 100) - 22) // 16)
    for start in range(0, len(table['pids']), fit):
        part = slice(start, start + fit)
        lines += [same_line('', ['%d' % p for p in table['pids'][part]], ''), same_line('', [safe(c or '?', 12) for c in table['comms'][part]], '')]
        for row in table['rows'][:len(NAMESPACE_KINDS)]:
            words = ['?' if v is None else '-' if v == '' else str(v) for v in row['values'][part]]
            lines.append(same_line(row['what'], words, row['verdict'] if len(table['pids']) > 1 else ''))
    for row in table['rows'][len(NAMESPACE_KINDS):]:
        values = [v if v is not None else '?' for v in row['values']]
        for value in dict.fromkeys(values):
            who = [str(p) for p, v in zip(table['pids'], values) if v == value]
            lines += wrapped('%s: %s  (%s)' % (row['what'], safe(value) or 'none named', ', '.join(who)), min(width, 100), 4) if value or any(values) else []
    return lines + [''] + wrapped(table['sentence'], min(width, 100), 2)


def same_line(what, words, verdict):
    return ('%-8s' % what + ''.join(' %-15s' % w for w in words) + ' ' + (verdict or '')).rstrip()


# ROOM EXPLAIN ===============================================================
# The explain command: a word out of /proc, and what it means. An entry is plain data, for text and JSON alike:
#   {'word': as asked, 'about': 'system call', 'title': one line, 'facts': [[label, sentence], ...]}
# To explain another sort of word: write an _explain_NAME(word, arch) -> list of entries, and put it into EXPLAINERS where
# its answer is most useful. It returns [] for words that are not of its sort.

# How a call of a wait kind blocks, for those who ask about the call.
CALL_KIND_TEXTS = {
    'futex': 'Waits until another thread wakes that address: a lock, condition, join, semaphore, pool.',
    'epoll': 'Waits for a descriptor of the epoll set (members: tfd: lines in fdinfo), until the timeout. Idle event loops sit '
             'here.',
    'poll': 'Waits for one of the descriptors, until the timeout. Idle event loops sit here.',
    'sleep': 'Waits for a time that it chose itself: not hung.',
    'signal': 'Waits for a signal: normal for a master process.',
    'child': 'Waits for a child to end: look at the child.',
    'vfork': 'Waits, in state D, until the child executes a program or exits: look at the child.',
    'socket-read': 'Waits for data on the socket: look at the peer. MSG_DONTWAIT does not wait.',
    'socket-write': 'Waits for room in the buffers of the socket: the peer does not read, or the network loses what is sent.',
    'connect': 'Waits for the other side to answer: dropped packets, or a full accept queue.',
    'accept': 'Waits for a client: an idle server.',
    'file-lock': 'Waits for a lock that another holds: /proc/locks says who.',
    'ipc': 'Waits for the other user of the queue or semaphore. IPC_NOWAIT does not wait.',
    'io-uring': 'Waits for completions; what blocks is in an iou-wrk thread, or is a poll.',
    'aio': 'Waits for asynchronous disk I/O.',
    'disk': 'Waits for the disk, or for the file server under it.',
    'memory': 'Works on the memory map: waits (state D) if another task holds its lock (mmap_lock), or for memory.',
    'exit': 'Ends; waits for a core dump, or in the kernel for what it had open.',
    'kernel': 'Does not wait as a rule; else for a lock or a worker of the kernel.',
    'event': 'Waits for something to be reported.',
}
# What the first argument says where the call's kind is open.
_OPEN_KIND_TEXTS = {
    'fd': 'What the descriptor is decides: pipe, socket, terminal, eventfd, file (look at /proc/PID/fd).',
    'path': 'Quick as a rule. If it hangs: the file system under the path (NFS, FUSE, disk), or a directory lock.',
}
# What is worth knowing of single calls.
CALL_NOTES = {
    'futex': 'Same address in one process: same lock. 0x80 with val 2 is a mutex, 0x189 a condition, semaphore or rwlock, 0x109 '
             'pthread_join.',
    'restart_syscall': 'A sleep, poll or futex with a timeout that a stop, signal or tracer interrupted; which of them is lost: look '
                       'at wchan.',
    'fcntl': 'Only F_SETLKW and F_OFD_SETLKW wait: for a file lock. /proc/locks says who holds it.',
    'fcntl64': 'Only F_SETLKW and F_OFD_SETLKW wait: for a file lock. /proc/locks says who holds it.',
    'wait4': 'pid -1: any child; 0: any of its process group; below -1: any of group -pid. WNOHANG does not wait.',
    'waitpid': 'pid -1: any child; 0: any of its process group; below -1: any of group -pid. WNOHANG does not wait.',
    'poll': 'timeout in ms, -1: for ever. The descriptors are in memory at fds.',
    'ppoll': 'timeout NULL: for ever. With 0 descriptors it is pause(), as glibc makes it on aarch64.',
    'select': 'nfds is the highest descriptor + 1. With no sets it is a sleep.',
    'pselect6': 'nfds is the highest descriptor + 1. With no sets it is a sleep. glibc makes select() so.',
    'epoll_wait': 'timeout in ms, -1: for ever.',
    'epoll_pwait': 'timeout in ms, -1: for ever.',
    'open': 'Of a FIFO: waits for the other end. O_NONBLOCK does not wait.',
    'openat': 'Of a FIFO: waits for the other end. O_NONBLOCK does not wait. AT_FDCWD: relative to the working directory.',
    'close': 'Waits for: SO_LINGER on a socket, data not yet on an NFS server, a terminal that drains, a FUSE server.',
    'clone': 'Waits only with CLONE_VFORK, in state D, for the child to exec or exit. aarch64 makes vfork so.',
    'socketcall': 'All socket calls of i386 in one; the descriptor is the first word in memory at args.',
    'ipc': 'All System V calls of i386 in one; first is the id of the queue or semaphore set.',
    'ioctl': 'What it does is up to the driver. TCSBRK with 1 waits for a terminal to drain; KVM_RUN runs a guest.',
    'flock': 'LOCK_NB does not wait.',
    'fsync': 'Long waits: a slow disk, or a journal that many write to.',
    'exit_group': 'Seen in D: the process dies slowly, because a thread or its memory is stuck.',
    'execve': 'The other threads must end first; a program file on a dead mount hangs here.',
    'sched_yield': 'Seen often with much CPU: it spins on a lock.',
    'sendfile': 'Reads a file and writes a socket or pipe: waits for either.',
    'read': 'fd 0 is standard input: a terminal, or a pipe from the one who started it.',
    'write': 'fd 1 and 2 are its output: a full pipe there means that a log reader hangs.',
    'getrandom': 'Waits only in early boot, until the generator is seeded; GRND_NONBLOCK does not.',
    'clock_nanosleep': 'flags 0: for that long; TIMER_ABSTIME: until then. glibc makes sleep() so.',
    'rt_sigtimedwait': 'sigwait(), sigwaitinfo() and sigtimedwait().',
    'ptrace': 'The caller is the tracer.',
    'mmap': 'fd -1: memory without a file.',
    'io_getevents': 'min_nr is how many completions it waits for.',
    'msgrcv': 'msgtyp 0: the first message; above 0: the first of that type; below 0: the lowest type up to it.',
    'semop': 'The operations are in memory at sops; 0 waits for zero, a negative number for a post.',
    'semtimedop': 'The operations are in memory at sops; 0 waits for zero, a negative number for a post. glibc makes semop() so.',
}
# What a link in /proc/PID/fd says: how it begins, what it is.
FD_TARGETS = (
    ('pipe:', 'a pipe; both ends have the same number: whoever else has it is at the other end'),
    ('socket:', 'a socket; the number is the inode of /proc/PID/net/tcp, tcp6, udp, unix'),
    ('anon_inode:[eventpoll]', 'an epoll set; fdinfo lists its members (tfd:)'),
    ('anon_inode:[eventfd]', 'an eventfd: threads and processes wake each other by it; fdinfo has its counter'),
    ('anon_inode:[timerfd]', 'a timer; fdinfo says when it will expire (it_value)'),
    ('anon_inode:[signalfd]', 'signals to be read; fdinfo has the mask'),
    ('anon_inode:inotify', 'watches of files; fdinfo lists them'),
    ('anon_inode:[fanotify]', 'watches of files that may forbid their opening'),
    ('anon_inode:[io_uring]', 'an io_uring; fdinfo has its queues'),
    ('anon_inode:[pidfd]', 'a process; fdinfo says which (Pid:)'),
    ('anon_inode:[userfaultfd]', 'page faults of a process; fdinfo: pending 1 means that one waits'),
    ('anon_inode:[perf_event]', 'a performance counter'),
    ('anon_inode:bpf', 'a BPF program or map'),
    ('anon_inode:kvm', 'a virtual machine or CPU'),
    ('anon_inode:', 'a kernel object without a file'),
    ('/memfd:', 'memory as a file; (deleted) is normal there'),
    ('/dev/pts/', 'a terminal'),
    ('/dev/null', 'nothing: reads end at once, writes vanish'),
)


def entry(word, about, title, *facts):
    """One answer. Facts are (label, sentence) pairs; those with an empty sentence are left out."""
    return {'word': word, 'about': about, 'title': title, 'facts': [[label, said] for label, said in facts if said]}


# -- system calls

def _call_numbers(name):
    """'x86_64 202, aarch64 98, i386 240, arm 240'; 'none' where an architecture has no such call."""
    return ', '.join('%s %s' % (arch, 'none' if nr is None else nr)
                     for arch, nr in ((arch, syscall_number(arch, name)) for arch in ARCHITECTURES))


def _call_blocks(row):
    """How a call waits, in a sentence."""
    if row.kind:
        return CALL_KIND_TEXTS.get(row.kind, '')
    if row.name.startswith(('dup', 'lseek', '_llseek', 'epoll_c', 'signalfd', 'timerfd', 'eventfd', 'inotify_r')):
        return 'It does not wait, as a rule.'
    first = {'dirfd': 'path'}.get(row.args[0][1], row.args[0][1]) if row.args else ''
    return _OPEN_KIND_TEXTS.get(first, 'It does not wait, as a rule.')


def _call_facts(name, arch):
    """The facts of a system call: numbers, arguments, how it waits."""
    row = signature(name, arch)
    shown = ', '.join(argument for argument, kind in row.args if kind != 'skip') if row else ''
    return (('numbers', _call_numbers(name)),
            ('arguments', '%s(%s)' % (name, shown) if row else 'not in this tool\'s table: see man 2 %s' % name),
            ('waits', _call_blocks(row) if row else ''),
            ('note', CALL_NOTES.get(name, '')))


def _explain_call(word, arch):
    """A system call by name: 'futex', 'sys_read', '__x64_sys_flock'."""
    name = word[:-2] if word.endswith('()') else word
    if all(syscall_number(each, name) is None for each in ARCHITECTURES):
        return []
    return [entry(word, 'system call', '%s: a system call' % name, *_call_facts(name, arch))]


def _elsewhere(nr, arch):
    """What the number is in the other architectures: the wrong table gives a wrong name."""
    return ', '.join('%s %s' % (other, syscall_name(other, nr) or 'none') for other in ARCHITECTURES if other != arch)


def _explain_number(word, arch):
    """A bare decimal number: a system call, a signal, an errno."""
    if not re.match(r'(0|[1-9]\d{0,9})$', word):
        return []
    nr = int(word)
    found = [entry(word, 'wchan', 'wchan 0: no name given', ('means', WCHAN_ZERO))] if nr == 0 else []
    name = syscall_name(arch, nr)
    if name:
        facts = list(_call_facts(name, arch))
        facts.insert(1, ('elsewhere', '%d is: %s' % (nr, _elsewhere(nr, arch))))
        found.append(entry(word, 'system call', '%d: system call %s (%s)' % (nr, name, arch), *facts))
    elif any(syscall_name(other, nr) for other in ARCHITECTURES):
        found.append(entry(word, 'system call', '%d: no system call of %s' % (nr, arch), ('elsewhere', _elsewhere(nr, arch))))
    if 0 < nr <= 64:
        found.append(_signal_entry(word, nr))
    return found + _explain_errno(nr, arch, word)


WCHAN_ZERO = ('The thread runs, or is a zombie; or you may not know (another user\'s process gives 0, not an error); or the kernel '
              'cannot tell (most x86_64 kernels from 4.14 to 5.15). State and syscall decide.')


# -- a line of /proc/PID/syscall

_LINE = re.compile(r'(-?\d{1,10})((?:\s+0x[0-9a-fA-F]{1,16}){2,8})$')


def _explain_line(word, arch):
    """A line of /proc/PID/syscall, whole ('NR a1 .. a6 SP PC') or cut short."""
    match = _LINE.match(word.strip())
    if not match:
        return []
    nr, words = int(match.group(1)), [int(each, 16) for each in match.group(2).split()]
    if nr < 0:
        return [_outside_entry(word, words)]
    if nr == 0 and not any(words):
        return [entry(word, 'syscall line', 'a kernel thread', ('means', 'All zeros: kernel threads say so. It is no read(0).'))]
    args, rest = words[:6], words[6:]
    name = syscall_name(arch, nr)
    registers = ', '.join('%s %#x' % pair for pair in zip(('stack pointer', 'program counter'), rest))
    if not name:
        return [entry(word, 'syscall line', 'system call %d, unknown on %s' % (nr, arch), ('elsewhere', _elsewhere(nr, arch)))]
    return [entry(word, 'syscall line', '%s(%s)' % (name, format_args(arch, name, args)),
                  ('means', 'blocked in system call %d of %s' % (nr, arch)), ('waits', _line_waits(arch, name, args)),
                  ('futex', _futex_means(name, args)), ('note', '' if 'futex' in name else CALL_NOTES.get(name, '')),
                  ('registers', registers), ('elsewhere', 'if the process is not %s: %s' % (arch, _elsewhere(nr, arch))))]


def _outside_entry(word, words):
    """'-1 SP PC': not in a system call."""
    if not any(words):
        return entry(word, 'syscall line', 'no system call: a zombie', ('means', 'It has ended (-1 0x0 0x0).'))
    return entry(word, 'syscall line', 'blocked, but not in a system call',
                 ('means', 'A page fault (userfaultfd, swap, a mapped file on FUSE or NFS, memory cgroup full), or a stop; on aarch64 '
                           'any stopped, traced or frozen thread.'))


def _line_waits(arch, name, args):
    """How this very call waits: by its arguments where they decide."""
    row = signature(name, arch)
    kind = call_kind(arch, name, args)
    descriptor = call_fd(arch, name, args)
    said = CALL_KIND_TEXTS.get(kind, '') if kind else _call_blocks(row) if row else ''
    if descriptor is not None and descriptor >= 0 and kind != 'memory':
        said += ' The descriptor is %d: ls -l /proc/PID/fd/%d.' % (descriptor, descriptor)
    return said.strip()


def _futex_means(name, args):
    """What the operation of a futex call is used for; '' for other calls."""
    if name not in ('futex', 'futex_time64') or len(args) < 3:
        return ''
    op, val, timeout = args[1] & 0xffffffff, args[2] & 0xffffffff, args[3] if len(args) > 3 else 0
    command = op & FUTEX_CMD_MASK
    if command in (6, 13):
        return 'a priority-inheritance mutex: the word at %#x holds the owner\'s tid' % args[0]
    if op in (0x109, 0x0) and 2 < val < 0x400000:
        return 'looks like pthread_join: waits for thread %d to end' % val
    if op in (0x80, 0x0) and val & 0x80000000:
        return 'a mutex that records its owner in the word (musl, or robust): %#x' % val
    if op == 0x80 and val == 2:
        return 'looks like a mutex that another thread holds; musl conditions look the same'
    if op == 0x189 and val == 2 and timeout:
        return 'looks like a mutex with a timeout'
    if op in (0x189, 0x89) and val == 0:
        return 'looks like a condition, semaphore or parked thread: whoever should wake it has not'
    return FUTEX_OPS[command][2] if command < len(FUTEX_OPS) else ''


def _explain_futex_op(word, arch):
    """A futex operation, as a number (0x189) or a name (FUTEX_WAIT_BITSET_PRIVATE)."""
    if re.match(r'0x[0-9a-fA-F]{1,3}$', word):
        op = int(word, 16)
    else:
        op = _futex_number(word.upper())
    if op is None or (op & FUTEX_CMD_MASK) >= len(FUTEX_OPS) or op & ~0x1ff:
        return []
    usual = {0x80: 'A mutex (glibc, Rust), barrier; musl uses it for conditions and semaphores too.',
             0x189: 'glibc condition, semaphore, rwlock, timed mutex; Python locks; Java park.',
             0x109: 'glibc pthread_join: val is the tid awaited.', 0x89: 'Rust mutex and park; the GIL of CPython (5 ms timeout).',
             0x0: 'A lock shared between processes; pthread_join of old glibc.', 0x86: 'A priority-inheritance mutex.'}.get(op, '')
    return [entry(word, 'futex operation', '%#x: %s' % (op, futex_op(op)), ('means', FUTEX_OPS[op & FUTEX_CMD_MASK][2]),
                  ('bits', 'PRIVATE: threads of this process only. CLOCK_REALTIME: how the timeout counts.'), ('used by', usual))]


def _futex_number(name):
    """0x189 for FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME; None for what is no futex operation."""
    base, _bar, clock = name.partition('|')
    private = base.endswith('_PRIVATE')
    base = base[:-8] if private else base
    for place, row in enumerate(FUTEX_OPS):
        if row[0] == base:
            return place | (FUTEX_PRIVATE if private else 0) | (FUTEX_REALTIME if clock == 'FUTEX_CLOCK_REALTIME' else 0)
    return None


# -- states, signals, errors

def _explain_state(word, arch):
    """A state letter, the kernel's word for it, or ps's STAT ('Ssl+')."""
    match = re.match(r'([RSDTtZXxIPKW])([<NLsl+]*)$', word)
    letters = match.group(1) if match else ''.join(row[0] for row in STATES if word.lower() == row[1] and row[0] != 'x')
    found = []
    for letter in letters:
        row = state_row(letter)
        modifiers = [text for flag, text in PS_FLAGS if match and flag in match.group(2)]
        found.append(entry(word, 'state', '%s: state "%s"' % (letter, row[1]), ('means', row[2]), ('but', row[3]),
                           ('ps adds', '; '.join(modifiers))))
    return found


def _signal_entry(word, nr):
    _nr, name, action, source = SIGNALS[nr - 1]
    return entry(word, 'signal', '%s: signal %d' % (name, nr), ('sent by', source), ('default', action),
                 ('in a mask', '%016x' % (1 << (nr - 1))))


def _explain_signal(word, arch):
    """A signal by name: SIGTERM, sigterm, TERM (upper case, for there are calls named kill and pause)."""
    if not word.upper().startswith('SIG') and not re.match(r'[A-Z][A-Z0-9]+([+-]\d+)?$', word):
        return []
    nr = signal_number(word)
    return [_signal_entry(word, nr)] if nr else []


def _explain_mask(word, arch):
    """A signal mask as status prints it: 16 hexadecimal digits, or 0x and more than three."""
    if not re.match(r'([0-9a-fA-F]{16}|0x[0-9a-fA-F]{4,16})$', word):
        return []
    names = signal_names(signal_mask(word))
    notes = [said for name, said in (
        ('SIGKILL', 'SIGKILL pending: it is to die, and its wait has not let it yet.'),
        ('SIGTERM', 'SIGTERM in SigBlk or SigIgn: a polite kill has no effect; in SigCgt: it has a handler.')) if name in names]
    return [entry(word, 'signal mask', '%s: signals' % word, ('signals', ' '.join(names) or 'none'), ('note', ' '.join(notes)),
                  ('where', 'SigPnd, ShdPnd, SigBlk, SigIgn, SigCgt in status; bit 0 is signal 1.'))]


def _explain_errno(word, arch, asked=None):
    """An error by name or number."""
    row = errno_row(word)
    return [entry(asked or word, 'errno', '%s: error %d' % row[:2][::-1], ('means', row[2]))] if row else []


# -- wait channels and finding codes

def _explain_wchan(word, arch):
    """A wait channel, or a line of /proc/PID/stack."""
    row = wchan_row(word)
    if not row or not re.match(r'[A-Za-z_]\w*$', row.name):
        return []
    kind = row.kind or 'open: the system call and its descriptor decide'
    return [entry(word, 'wchan', '%s: a wait channel' % row.name, ('means', row.text), ('kind', kind))]


def _explain_code(word, arch):
    row = code_row(word.lower())
    return [entry(word, 'finding', '%s: a finding (%s)' % row[:2], ('means', row[2]), ('do', row[3]))] if row else []


# -- files and their fields

def _explain_file(word, arch):
    """A file of /proc: 'wchan', '/proc/45678/task/1/wchan', '45678/status', '/proc/loadavg', 'net/tcp'."""
    path = re.sub(r'^/?proc/|^/', '', word.rstrip('/')) if '/' in word else word
    own = re.sub(r'^(\d+|PID|self|thread-self|\$+)/(task/(\d+|TID)/)?', '', path, flags=re.I)
    of_process, of_system = own != path or '/' not in word, own == path
    found = []
    row = proc_file_row(own.partition('/')[0]) if of_process else None
    if row and (own == row[0] or row[0] in ('fd', 'fdinfo', 'ns', 'task', 'attr', 'map_files', 'net')):
        found.append(_file_entry(word, row))
    for system in PROC_SYSTEM:
        tail = '/' not in word and system[0].endswith('/' + own)
        if tail or system[0] == '/proc/' + own and (of_system or own.startswith('net/')):
            found.append(_system_entry(word, system))
    return found + (_explain_namespace(own[3:], arch) if own.startswith('ns/') else [])


def _file_entry(word, row):
    name, rights, danger, tells, use = row
    return entry(word, 'file', '/proc/PID/%s' % name, ('tells', tells), ('in a hang', use if use != 'none' else ''),
                 ('readable by', RIGHTS[rights]), ('danger', danger))


def _system_entry(word, row):
    name, danger, tells, use = row
    return entry(word, 'file', name, ('tells', tells), ('in a hang', use if use != 'none' else ''), ('beware', danger))


def _explain_field(word, arch):
    """A field of status, stat, io or schedstat; also 'SigBlk: 0000000000004000' and 'State: D (disk sleep)', pasted whole."""
    name, _colon, value = word.partition(':')
    name, value, found = name.strip(), value.strip(), []
    fold = not any(row[0] == name for row in STATUS_LINES + STAT_LINES)
    for file_name, table in (('status', STATUS_LINES), ('stat', STAT_LINES), ('io', IO_FIELDS), ('schedstat', SCHEDSTAT_FIELDS)):
        for place, row in enumerate(table, 1):
            if row[0] == name or fold and row[0].lower() == name.lower():
                where = 'field %d of /proc/PID/stat' % place if file_name == 'stat' else 'a line of /proc/PID/%s' % file_name
                found.append(entry(word, 'field', '%s: %s' % (row[0], where), ('means', row[1])))
    if found and re.match(r'(Sig|Shd)', name) and value:
        found += _explain_mask(value, arch)
    if found and name == 'State' and value:
        found += _explain_state(value[:1], arch)
    return found


def _explain_namespace(word, arch):
    name = word.partition(':')[0]
    return [entry(word, 'namespace', '%s: a namespace' % row[0], ('isolates', row[1]),
                  ('compare', 'ls -l /proc/PID/ns/%s: equal numbers mean the same one' % row[0]))
            for row in NAMESPACE_ROWS if row[0] == name]


def _explain_limit(word, arch):
    """A resource limit by any of its names: NOFILE, RLIMIT_NOFILE, nofile, 'Max open files', -n."""
    bare = re.sub(r'^RLIMIT_', '', word.upper())
    return [entry(word, 'limit', 'RLIMIT_%s: "%s", ulimit %s' % (row[1], row[0], row[2]), ('at the limit', row[3]),
                  ('see', '/proc/PID/limits; prlimit changes it in the living process'))
            for row in RLIMIT_WORDS if bare == row[1] or word.lower() == row[0].lower() or word == row[2]]


# -- sockets, descriptors, scheduling, flags

def _explain_socket_state(word, arch):
    """A TCP state: CLOSE_WAIT, or the hexadecimal st of net/tcp with its leading zero: 08, 0A."""
    value = int(word, 16) if re.match(r'0[0-9a-fA-F]$', word) else None
    name = re.sub(r'^TCP_', '', word.upper().replace('-', '_'))
    return [entry(word, 'tcp state', '%02X: TCP state %s' % (nr, row[0]), ('means', row[1]))
            for nr, row in sorted(TCP_STATE_ROWS.items()) if nr == value or row[0] == name]


def _explain_target(word, arch):
    """A link of /proc/PID/fd."""
    for start, meaning in FD_TARGETS:
        if word.startswith(start):
            return [entry(word, 'descriptor', '%s: what a descriptor is' % word, ('means', meaning))]
    return []


def _explain_policy(word, arch):
    return [entry(word, 'policy', '%s: scheduling policy %d' % (row[0], nr), ('means', row[1]))
            for nr, row in sorted(SCHED_POLICIES.items()) if row[0] == word.upper()]


def _explain_flags(word, arch):
    """Octal open flags as fdinfo prints them (0100002), or a flag by name: O_CLOEXEC, CLONE_VFORK, PF_KTHREAD, MSG_PEEK."""
    if re.match(r'0[0-7]{3,11}$', word):
        return [entry(word, 'flags', '%s: open flags (%s)' % (word, arch), ('means', open_flags(arch, word)),
                      ('where', 'flags: in fdinfo, octal; they differ between x86 and ARM'))]
    name = word.upper()
    if name.startswith(('O_', 'F_')) or name == 'FASYNC':
        return _named_open_flag(word, name)
    found = [entry(word, 'flags', '%s: bit %#x of a task\'s flags (stat field 9)' % (row[1], row[0]), ('means', row[2]))
             for row in TASK_FLAGS if row[1] == name]
    return found + [entry(word, 'flags', '%s: %#x, a flag of a call\'s argument' % (name, bit), ('of', _flag_users(table)))
                    for table in sorted(FLAG_SETS) for bit, each in FLAG_SETS[table] if each == name]


def _named_open_flag(word, name):
    values = [(arch, bit) for arch in ('x86_64', 'aarch64') for bit, each in open_flag_table(arch) if each == name]
    if values:
        shown = ', '.join('%s 0%o' % ('x86' if arch == 'x86_64' else 'ARM', bit) for arch, bit in values)
        return [entry(word, 'flags', '%s: a flag of open' % name, ('octal', shown))]
    found = [nr for nr in range(1100) if value_name('fcntlcmd', nr) == name]
    return [entry(word, 'flags', '%s: fcntl command %d (%#x)' % (name, nr, nr),
                  ('waits', 'for a file lock' if name in ('F_SETLKW', 'F_SETLKW64', 'F_OFD_SETLKW') else 'no')) for nr in found]


def _flag_users(table):
    """The calls that take flags of a table."""
    signature('read')
    users = sorted({row.name for row in _signatures.values() if any(kind == table for _argument, kind in row.args)})
    return ', '.join(users[:8])


# In the order in which their answers are shown. A line of /proc/PID/syscall comes first: nothing else looks like it.
EXPLAINERS = (
    _explain_line, _explain_code, _explain_state, _explain_mask, _explain_futex_op, _explain_socket_state, _explain_number,
    _explain_file, _explain_call, _explain_signal, _explain_errno, _explain_wchan, _explain_field, _explain_limit,
    _explain_namespace, _explain_target, _explain_policy, _explain_flags,
)


def explain_word(word, arch):
    """All the entries of one word, the most useful first; [] when nothing is known of it."""
    bare = word.strip().rstrip(':')
    found = []
    for explainer in EXPLAINERS if bare else ():
        found += [each for each in explainer(bare, arch) if each not in found]
    for each in found:
        each['word'] = word
    return found


def explain_words(words, arch=None):
    """The entries of all words; a word of which nothing is known has an entry about 'unknown'. Several words that are a
    line of /proc/PID/syscall, or the name of a limit, are taken as one."""
    arch = arch_name(arch) if arch_name(arch) in ARCHITECTURES else 'x86_64'
    whole = ' '.join(words)
    if len(words) > 1 and (_explain_line(whole, arch) or _explain_limit(whole, arch)):
        words = [whole]
    found = []
    for word in words:
        found += explain_word(word, arch) or [_unknown_entry(word)]
    return found


def explain_status(entries):
    """Exit status: 2 when nothing at all was understood."""
    return 0 if any(each['about'] != 'unknown' for each in entries) else 2


def _known_words():
    """Every word that has an answer by name: what a misspelt one is compared with."""
    known = [row[0] for table in (CODES, PROC_FILES, STATUS_LINES, STAT_LINES, IO_FIELDS, NAMESPACE_ROWS) for row in table]
    known += [row[1] for table in (SIGNALS, ERRNOS, RLIMIT_WORDS) for row in table]
    known += [name for arch in ARCHITECTURES for name in syscalls(arch).values()]
    known += [row[0].rsplit('/', 1)[-1] for row in PROC_SYSTEM] + [row[0] for row in TCP_STATE_ROWS.values()]
    known += [name for _kind, names, _text in WCHANS for name in names.split() if not name.endswith('*')]
    return known


def _unknown_entry(word):
    import difflib              # 10 ms of start-up that only a misspelt word pays for
    names = {}
    for known in _known_words():
        names.setdefault(known.lower(), known)
    close = difflib.get_close_matches(word.strip().lower(), sorted(names), 3, 0.7) if len(word) < 60 else []
    return entry(word, 'unknown', '%s: not known' % word, ('close', ', '.join(names[each] for each in close)))


def format_explain(entries):
    """The entries as lines of at most 80 columns, whatever the words were."""
    import textwrap
    lines = []
    for each in entries:
        lines += [''] if lines else []
        lines += textwrap.wrap(safe(each['title'], 300), 80, subsequent_indent='    ') or ['']
        for label, said in each['facts']:
            lines += textwrap.wrap(safe(said, 2000), 80, initial_indent='  %-13s' % label, subsequent_indent=' ' * 15)
    return lines


# ROOM CAPTURE SCRIPT ========================================================
# What `capture-script` prints: a capture from where there is no Python, by a shell and five applets.
# A read that may wait for the target's mmap lock runs in a child of its own, which is killed after some seconds and not
# waited for. Links are read by tar, with lstat and readlink alone: a dead mount behind a descriptor cannot hang it, ln is
# not needed, and ten thousand descriptors cost one process. A file that fails leaves a line in meta.json, never an empty file.

CAPTURE_SCRIPT = r"""#!/bin/sh
# Saves what /proc says of hung processes, for procdoc to diagnose elsewhere. It reads; it writes only to a new folder of its own,
# which it removes, and signals only its own children. It needs cat, ls, mkdir, rm and tar as busybox has them.
#     python3 procdoc.py capture-script | kubectl exec -i POD -- sh -s PID [PID...] > snap.tar
#     python3 procdoc.py --root snap.tar PID
# SECRETS: command lines are copied as they are. The environment is left out unless PROCDOC_ENVIRON=1 is set.

LC_ALL=C; export LC_ALL; umask 077
MOVING='stat status schedstat io wchan syscall'         # read twice, for the process and for each of its threads
ONCE='comm limits cgroup mountinfo oom_score oom_score_adj statm sched stack personality auxv uid_map gid_map'
NET='tcp tcp6 udp udp6 unix raw raw6 netlink packet snmp netstat sockstat dev'
SYSTEM='stat uptime loadavg meminfo version cpuinfo cmdline locks vmstat swaps interrupts pressure/cpu pressure/memory pressure/io
  sysvipc/sem sysvipc/msg sysvipc/shm sys/kernel/osrelease sys/kernel/arch sys/kernel/hostname sys/kernel/pid_max sys/kernel/threads-max
  sys/kernel/hung_task_timeout_secs sys/kernel/yama/ptrace_scope sys/fs/file-max sys/fs/file-nr sys/fs/nr_open sys/vm/max_map_count
  sys/vm/overcommit_memory sys/vm/swappiness sys/net/core/somaxconn sys/net/ipv4/ip_local_port_range'
CGROUP='cgroup.type cgroup.events cgroup.freeze cpu.max cpu.weight cpu.stat cpu.pressure cpu.cfs_quota_us cpu.cfs_period_us cpu.shares
  memory.current memory.high memory.max memory.peak memory.events memory.stat memory.pressure memory.swap.current memory.swap.max
  memory.usage_in_bytes memory.limit_in_bytes memory.memsw.usage_in_bytes memory.memsw.limit_in_bytes memory.failcnt memory.oom_control
  io.pressure pids.current pids.max pids.events freezer.state freezer.self_freezing freezer.parent_freezing cpuset.cpus.effective'

say() { echo "procdoc: $*" >&2; }
miss() { # PATH WHY: a gap, as a line of meta.json
    case $2 in *denied*) e=EACCES ;; *permitted*) e=EPERM ;; *'such proc'*) e=ESRCH ;; *'such file'*) e=ENOENT ;; *nvalid*) e=EINVAL ;;
        TIMEOUT) e=TIMEOUT ;; *' space '*) e=ENOSPC; [ -n "$full" ] || say "$2"; full=1 ;; *) e=EIO ;; esac
    case $1 in *[!A-Za-z0-9_./:,@+-]*) ;; *) gaps="$gaps${gaps:+,}
  {\"path\": \"$1\", \"error\": \"$e\"}" ;; esac
}
get() { # PATH [FOLDER/]: one file as the kernel prints it
    to=$work/snap/${2-}$1; [ -d "${to%/*}" ] || mkdir -p "${to%/*}"
    why=$(cat "/$1" 2>&1 >"$to") || { rm -f "$to"; [ -n "${2-}" ] || miss "$1" "$why"; }
}
late() { # PATH: the same for what may hang: started here, and looked at by collect
    to=$work/snap/$1; mkdir -p "${to%/*}"; n=$((n + 1)); late="$late $n,$1"
    case $1 in */exe) tar -cf "$to" -C / "$1" 2>"$work/why.$n" & ;; *) cat "/$1" >"$to" 2>"$work/why.$n" & ;; esac
    late="$late,$!"
}
runs() { pp=; read -r _ _ s pp _ 2>/dev/null <"/proc/$1/stat"; [ "$pp" = $$ ] && [ "$s" != Z ]; }
answers() { # PID: can its files be read at all?
    cat "/proc/$1/stat" >/dev/null 2>&1 & c=$!; i=0
    while runs $c; do i=$((i + 1)); [ $i -lt 300 ] || pause; [ $i -lt 304 ] || { kill -9 $c; return 1; }; done
}
collect() {
    for job in $late; do
        n=${job%%,*}; child=${job##*,}; path=${job#*,}; path=${path%,*}; to=$work/snap/$path
        while runs "$child" && [ $patience -gt 0 ]; do patience=$((patience - 1)); pause; done
        if runs "$child"; then
            kill -9 "$child"; rm -f "$to"; miss "$path" TIMEOUT; say "/$path could not be read in time"
        elif ! wait "$child"; then why=; read -r why <"$work/why.$n"; rm -f "$to"; miss "$path" "$why"
        else case $path in */exe) (cd "$work/snap" && tar -xf "$path") ;; esac; fi   # the link replaces its archive
    done
}
pause() { # one second, also where there is no sleep
    sleep 1 2>/dev/null && return
    read -r a _ </proc/uptime; b=$a; while [ $((${b%.*} - ${a%.*})) -lt 2 ]; do read -r b _ </proc/uptime; done
}
links() { (cd / && tar -cf - "$@" 2>/dev/null) | (cd "$work/snap" && tar -xf - 2>/dev/null); }
field() { while read -r k v; do [ "$k" != "$2:" ] || { echo "$v"; break; }; done 2>/dev/null <"/proc/$1/status"; }
look() { # PID [FOLDER/]
    for t in "/proc/$1" "/proc/$1/task/"*; do for f in $MOVING; do get "${t#/}/$f" "${2-}"; done; done
}
fds() { # PID or PID/task/TID
    d=proc/$1/fd; why=$(ls "/$d" 2>&1) || { miss "$d" "$why"; return; }
    mkdir -p "$work/snap/$d"; [ -n "$why" ] || return
    (cd / && links "$d"/*)
    set -- "/$d"info/* "$work/snap/$d"/*; for f; do :; done
    [ -h "$f" ] || { rm -rf "$work/snap/$d"; miss "$d" denied; return; }
    i=0; for f in "/$d"info/*; do i=$((i + 1)); [ $i -le 2000 ] || { say "$d: details of the first 2000 only"; break; }; get "${f#/}"; done
}
cgroups() { # PID FILES [FOLDER/]: of its control groups and all their ancestors, v1 and v2, as far as they can be seen from here
    while IFS=: read -r _ names path; do
        case $names in name=*) continue ;; esac; case $path in *..*) path= ;; esac
        for d in "$names" $(IFS=,; echo $names) unified ''; do
            d=sys/fs/cgroup${d:+/$d}; [ -d "/$d" ] || continue
            if [ -n "$names" ]; then [ $d != sys/fs/cgroup ] || break; else [ -e /$d/cgroup.controllers ] || continue; fi
            while path=${path%/}; do
                for f in $2; do [ ! -e "/$d$path/$f" ] || [ -e "$work/snap/${3-}$d$path/$f" ] || get "$d$path/$f" "${3-}"; done
                [ -n "$path" ] || break 2; path=${path%/*}
            done
        done
    done <"/proc/$1/cgroup"
}
process() { # PID: all that is read once and cannot hang
    for f in $ONCE; do get "proc/$1/$f"; done; for f in $NET; do get "proc/$1/net/$f"; done
    for t in "/proc/$1/task/"*; do for f in comm sched stack children; do get "${t#/}/$f"; done; done
    mkdir -p "$work/snap/proc/$1/ns"; (cd / && links proc/$1/cwd proc/$1/root proc/$1/ns/*)
    fds "$1"; cgroups "$1" "$CGROUP"
    case $(field $1 State)$(field $1 Threads) in Z*[!0-9]1) ;; Z*) for t in /proc/$1/task/*; do     # the main thread alone has ended
        [ ${t##*/} = $1 ] || { t=${t#/proc/}; fds $t; late proc/$t/maps; late proc/$t/exe; break; }; done ;; esac
}
last() { # PID: what may hang, also of its parents and children
    for f in maps smaps_rollup exe cmdline ${PROCDOC_ENVIRON:+environ}; do late "proc/$1/$f"; done
    p=$(field $1 PPid); r=; while [ "${p:-0}" -gt 0 ]; do r="$r $p"; p=$(field $p PPid); done
    for p in $r $(cat "/proc/$1/task/"*/children 2>/dev/null); do
        case " $pids $seen " in *" $p "*) continue ;; esac
        seen="$seen $p"; for f in stat status comm; do get proc/$p/$f; done; late proc/$p/cmdline
    done
}
meta() {
    read -r host </proc/sys/kernel/hostname; case $host in *[!A-Za-z0-9_.-]*) host= ;; esac
    printf '{"schema": "procdoc-snapshot/1", "tool": "capture-script", "taken_at": "%s", "arch": "%s", "hostname": "%s", "watched_ms": %s,
 "pids": "%s", "masked": false, "environ": "%s", "gaps": [%s]}\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ 2>/dev/null)" "$(uname -m 2>/dev/null)" \
        "$host" $ms "${pids# }" "${PROCDOC_ENVIRON:+included}" "$gaps"
}
main() {
    if [ $# -eq 0 ] || [ -t 1 ]; then say 'usage: sh -s PID [PID...] > snap.tar'; exit 2; fi
    for c in cat ls mkdir rm tar; do command -v $c >/dev/null || { say "it needs $c"; exit 4; }; done
    pids=; seen=; gaps=; full=; late=; n=0; patience=4
    for p; do
        case $p in ''|*[!0-9]*) say "not a process ID: $p"; exit 2 ;; esac
        [ -d "/proc/$p" ] || { say "no such process: $p"; continue; }
        answers "$p" || { say "/proc/$p/stat does not answer: left out"; continue; }
        pids="$pids $p"; x=0; read -r x _ 2>/dev/null <"/proc/$p/statm"
        [ "$x" != 0 ] || say "$p has no memory: a zombie, a kernel thread, or its main thread has ended; there is little to read"
    done
    [ -n "$pids" ] || exit 3
    for d in "${TMPDIR:-/tmp}" /tmp /dev/shm /run /var/tmp; do work=$d/procdoc.$$; mkdir "$work" 2>/dev/null && break; work=; done
    [ -n "$work" ] || { say 'no writable folder: TMPDIR, /tmp, /dev/shm, /run, /var/tmp'; exit 4; }
    trap 'rm -rf "$work"' EXIT; trap 'exit 1' HUP INT TERM PIPE; mkdir "$work/snap"
    read -r a _ </proc/uptime; for p in $pids; do look $p; done
    for f in $SYSTEM; do get proc/$f; done; for p in $pids; do process $p; done; pause
    read -r b _ </proc/uptime; ms=$(((${b%.*} - ${a%.*}) * 1000 + (1${b#*.} - 1${a#*.}) * 10)); l=later/$ms/
    for p in $pids; do look $p $l; cgroups $p 'cpu.stat memory.current memory.usage_in_bytes pids.current' $l; done
    for f in stat uptime loadavg interrupts; do get proc/$f $l; done
    for p in $pids; do [ -d /proc/$p ] || say "$p ended meanwhile"; last $p; done
    collect; meta >"$work/snap/meta.json" || rm -f "$work/snap/meta.json"
    say 'command lines are in the capture as they are: look for secrets before you pass it on'
    [ -n "${PROCDOC_ENVIRON-}" ] || say 'the environment was left out (PROCDOC_ENVIRON=1 adds it)'
    (cd "$work/snap" && tar -cf - *) || { say 'tar failed: the capture is not complete'; exit 4; }
    [ -z "$full" ] || exit 4
}
main "$@"; exit
"""


# ROOM RECOVER ===============================================================
# Copy a file that was deleted while a process still has it open, or its program file, out of /proc/PID/fd/N or exe.
# A child does all that may hang (the open, on a dead mount, for ever): it reports down a pipe, and the parent leaves it behind
# when it says nothing until the deadline. What is not a regular file is never opened: an open has side effects on FIFOs and
# devices. The size is fixed at the start: what was there then is in the copy, whatever is written meanwhile.

RECOVERED, RECOVER_USAGE, RECOVER_GONE, RECOVER_DENIED = 0, 2, 3, 4    # exit statuses, as the contract has them
CHUNK = 1 << 20
STAT_MODES = ((0o040000, 'a folder'), (0o020000, 'a character device'), (0o060000, 'a block device'), (0o010000, 'a pipe'), (0o140000, 'a socket'))


EXISTS = '%s exists already: it was left as it is'


class Refusal(Exception):
    """recover cannot: (exit status, one sentence)."""


def kind_of_mode(mode):
    """'' for a regular file, else what it is, in words."""
    kind = mode & 0o170000
    return '' if kind == 0o100000 else dict(STAT_MODES).get(kind, 'no regular file')


def refused(status, sentence):
    raise Refusal(status, sentence)


def os_refusal(err, doing, gone=''):
    """The refusal that an OSError means."""
    why = os.strerror(err.errno) if err.errno else str(err)
    if err.errno in (errno.ENOENT, errno.ESRCH) and gone:
        return Refusal(RECOVER_GONE, gone)
    if err.errno in (errno.EACCES, errno.EPERM):
        return Refusal(RECOVER_DENIED, 'no permission to %s: run it as root, or as the user of the process with CAP_SYS_PTRACE' % doing)
    return Refusal(RECOVER_DENIED if err.errno in (errno.EIO, errno.ESTALE, errno.ENODEV) else RECOVER_USAGE, 'cannot %s: %s' % (doing, why))


# --- the source, looked at without opening it

def source_link(pid, what, proc='/proc'):
    """(path of the link, its text) for a descriptor number or 'exe'. readlink asks no filesystem."""
    if what != 'exe' and not re.match(r'[0-9]{1,10}\Z', str(what)):
        refused(RECOVER_USAGE, 'not a descriptor number, nor exe: %s' % safe(str(what)))
    folder = '%s/%d' % (proc, pid)
    path = folder + '/exe' if what == 'exe' else '%s/fd/%d' % (folder, int(what))
    try:
        return path, os.readlink(path)
    except OSError as err:
        if err.errno not in (errno.ENOENT, errno.ESRCH):
            raise os_refusal(err, 'read %s' % path)
    if not os.path.isdir(folder):
        refused(RECOVER_GONE, 'no such process: %d' % pid)
    if what == 'exe':
        refused(RECOVER_GONE, 'process %d has no program file: it is a zombie or a kernel thread' % pid)
    refused(RECOVER_USAGE, 'process %d has no descriptor %s' % (pid, what))


def check_link(path, target):
    """Refuse by the link's text alone what can be no regular file: pipe:[1], socket:[1], anon_inode:x, /dev/x of a device."""
    words = re.match(r'(pipe|socket|anon_inode|net|mnt|pid|user|uts|ipc|cgroup|time):', target)
    if words:
        refused(RECOVER_USAGE, '%s is no regular file but %s: nothing to recover' % (path, safe(target)))


def open_source(path):
    """A descriptor for reading, of a regular file only.

    O_PATH first: it opens nothing but the name, so that a FIFO is not joined nor a tape rewound. Only then is that very inode
    opened, through /proc/self/fd, without blocking and without touching its access time where that is allowed."""
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        kind = kind_of_mode(os.fstat(handle).st_mode)
        if kind:
            refused(RECOVER_USAGE, '%s is no regular file but %s: nothing to recover' % (path, kind))
        again = '/proc/self/fd/%d' % handle
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            source = os.open(again, flags | os.O_NOATIME)
        except OSError as err:
            if err.errno != errno.EPERM:
                raise
            source = os.open(again, flags)
    finally:
        os.close(handle)
    if kind_of_mode(os.fstat(source).st_mode):
        os.close(source)
        refused(RECOVER_USAGE, '%s is no regular file: nothing to recover' % path)
    return source


# --- the copy

def extents(fd, size):
    """(start, end) of the data below size; the holes are left out. One extent where the filesystem does not know."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as err:
            if err.errno == errno.ENXIO:    # no data behind here: a hole up to the end
                return
            yield at, size
            return
        if start >= size:
            return
        try:
            end = min(size, os.lseek(fd, start, os.SEEK_HOLE))
        except OSError:
            end = size
        if end <= start:                    # it was cut meanwhile
            return
        yield start, end
        at = end


def copy_extent(source, copy, start, end, tell):
    """Copy [start, end) and return where the source ended: end, or before it when it was cut meanwhile."""
    while start < end:
        data = os.pread(source, min(CHUNK, end - start), start)
        if not data:
            return start
        start += write_all(copy, data, start)
        tell(start)
    return start


def write_all(copy, data, at):
    done = 0
    while done < len(data):
        done += os.pwrite(copy, data[done:], at + done)
    return done


def copy_file(source, copy, size, tell):
    """(length of the copy, bytes of it that were data): the first `size` bytes, with their holes.

    When the file is cut meanwhile, what was read before is kept: the copy ends where the source did when it was reached."""
    reached = copied = 0
    for start, end in extents(source, size):
        reached = copy_extent(source, copy, start, end, tell)
        copied += reached - start
        if reached < end:
            break
    else:
        if os.fstat(source).st_size >= size:
            reached = size                  # a hole at its end
    os.ftruncate(copy, reached)
    os.fsync(copy)
    return reached, copied


def check_space(folder, needed):
    """Refuse when the output's filesystem has less free than the source has allocated."""
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    if free < needed:
        refused(RECOVER_USAGE, 'not enough space in %s: %d MiB are needed, %d MiB are free' % (safe(folder), (needed >> 20) + 1, free >> 20))


def create_output(out):
    """A new file, 0600; never an existing one, nor one behind a link."""
    try:
        return os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as err:
        if err.errno in (errno.EEXIST, errno.ELOOP):
            refused(RECOVER_USAGE, EXISTS % safe(out))
        raise os_refusal(err, 'write %s' % safe(out))


def remove_partial(out, identity):
    """Remove the copy that was begun, if it is still that file."""
    if not identity:
        return ''
    try:
        found = os.lstat(out)
        if (found.st_dev, found.st_ino) != identity:
            return '; what is at %s now is not the copy and was left' % safe(out)
        os.unlink(out)
        return '; the partial copy was removed'
    except OSError as err:
        return '' if err.errno == errno.ENOENT else '; the partial copy %s could not be removed: %s' % (safe(out), os.strerror(err.errno))


# --- the child: everything that may hang, reported as lines: 'open SIZE', 'new DEV INO', 'at N', 'done LENGTH DATA', 'refuse STATUS WORDS'

def recover_child(path, out, say):
    """The whole copy, up to a 'done' or a 'refuse'."""
    doing, gone, made = 'open %s' % path, '%s is gone: the process ended or closed it' % path, None
    try:
        if os.path.lexists(out):
            refused(RECOVER_USAGE, EXISTS % safe(out))
        source = open_source(path)
        found = os.fstat(source)
        doing, gone = 'write %s' % safe(out), ''
        check_space(os.path.dirname(out) or '.', min(found.st_size, found.st_blocks * 512))
        copy = create_output(out)
        made = os.fstat(copy)
        say('open', found.st_size)
        say('new', made.st_dev, made.st_ino)
        doing = 'copy %s to %s' % (path, safe(out))
        length, copied = copy_file(source, copy, found.st_size, teller(say))
        os.close(copy)
        say('done', length, copied)
    except Refusal as refusal:
        say('refuse', *refusal.args)
    except BrokenPipeError:                 # the parent was killed: nobody else can clean up
        remove_partial(out, made and (made.st_dev, made.st_ino))
    except OSError as err:
        say('refuse', *os_refusal(err, doing, gone).args)


def reporter(pipe):
    def say(*words):
        os.write(pipe, (' '.join(str(word) for word in words) + '\n').encode('utf-8', 'surrogateescape'))
    return say


def teller(say):
    """Tell how far the copy is, five times a second at most."""
    last = [time.time()]

    def tell(at):
        if time.time() - last[0] > 0.2:
            last[0] = time.time()
            say('at', at)
    return tell


def start_child(path, out):
    """(pid, descriptor of the pipe) of the child. It holds no terminal; it outlives no parent for longer than to clean up."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    try:
        import signal
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)       # they are the parent's to answer; its end shows as a broken pipe
        os.close(reader)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        recover_child(path, out, reporter(writer))
    finally:
        os._exit(0)


class Answers:
    """The lines that the child sends, with a deadline for each."""

    def __init__(self, pipe):
        self.pipe, self.held = pipe, b''

    def line(self, timeout_s):
        """The next line; '' when the child has ended; None past the deadline."""
        import select
        deadline = time.time() + timeout_s
        while b'\n' not in self.held:
            left = deadline - time.time()
            if left <= 0 or not select.select([self.pipe], [], [], left)[0]:
                return None
            data = os.read(self.pipe, 65536)
            if not data:
                return ''
            self.held += data
        line, _, self.held = self.held.partition(b'\n')
        return line.decode('utf-8', 'surrogateescape')


def leave_child(child):
    """End the child and wait a moment for it, no longer: in an uninterruptible sleep it does not end. True when it has."""
    import signal
    try:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True                     # not yet waited for until here, so that the number is still its own
        os.kill(child, signal.SIGKILL)
        for _ in range(50):
            if os.waitpid(child, os.WNOHANG)[0]:
                return True
            time.sleep(0.02)
    except (ProcessLookupError, ChildProcessError):
        return True
    return False


# --- the parent

def recover(pid, what, out, progress=None, open_timeout_s=10.0, stall_timeout_s=120.0, proc='/proc'):
    """Copy /proc/PID/fd/N or /proc/PID/exe to a new file. Returns (exit status, one sentence).

    pid: int; what: a descriptor number or 'exe'; out: path of the new file; progress: None, or a function of (bytes, of bytes)
    that is called now and then, and with (None, None) at the end. The source must answer the open within open_timeout_s, and each
    part of it within stall_timeout_s."""
    child, pipe, made = None, None, []
    try:
        path, target = source_link(pid, what, proc)
        check_link(path, target)
        child, pipe = start_child(path, out)
        size, length, copied = follow_copy(Answers(pipe), path, made, progress, open_timeout_s, stall_timeout_s)
        return RECOVERED, said(path, target, out, size, length, copied)
    except Refusal as refusal:
        ended = not child or leave_child(child)
        note = remove_partial(out, tuple(made)) if child else ''
        return refusal.args[0], refusal.args[1] + note + ('' if ended else '; process %d of it cannot be ended yet' % child)
    except BaseException:                   # ^C above all: clean up, say so, and let it through
        if child:
            leave_child(child)
            sys.stderr.write('%sinterrupted%s\n' % ('\n' if progress else '', remove_partial(out, tuple(made))))
        raise
    finally:
        if pipe is not None:
            os.close(pipe)
        if child:
            leave_child(child)


def follow_copy(answers, path, made, progress, open_timeout_s, stall_timeout_s):
    """Read the child's lines to the end: (size at the start, length of the copy, bytes of it that were data).

    made becomes [device, inode] of the copy as soon as there is one."""
    size = None
    try:
        while True:
            line = answers.line(open_timeout_s if size is None else stall_timeout_s)
            if line is None:
                refused(RECOVER_DENIED, '%s has not answered for %g s: its filesystem hangs (a dead network mount or FUSE server?), or that of the copy'
                        % (path, open_timeout_s if size is None else stall_timeout_s))
            word, _, rest = line.partition(' ')
            if word == 'open':
                size = int(rest)
            elif word == 'new':
                made[:] = [int(number) for number in rest.split()]
            elif word == 'at' and progress:
                progress(int(rest), size)
            elif word == 'done':
                length, copied = [int(number) for number in rest.split()]
                return size, length, copied
            elif word == 'refuse':
                status, _, words = rest.partition(' ')
                refused(int(status), words)
            elif not word:
                refused(RECOVER_DENIED, 'the copy of %s ended without a word: it was killed, or memory ran out' % path)
    finally:
        if progress:
            progress(None, None)


def said(path, target, out, size, length, copied):
    """What was done, in a sentence."""
    words = 'copied %s (%s) to %s: %d bytes' % (path, safe(target), safe(out), length)
    if copied < length:
        words += ', %d of them in holes' % (length - copied)
    if length < size:
        words += '; it was cut meanwhile: it had %d bytes at the start, and what is missing is lost' % size
    return words


def terminal_progress(stream):
    """A function for recover's progress, or None where stream is no terminal."""
    if not stream.isatty():
        return None
    shown = []

    def show(done, size):
        if done is None:
            words = '\n' if shown else ''
        else:
            words = '\r%3d %%  %d of %d MiB' % (100 * done // size if size else 100, done >> 20, size >> 20)
            shown.append(words)
            del shown[:-1]
        stream.write(words)
        stream.flush()
    return show


# ROOM COMMANDS ================================================================
# The command line: one cmd_* per command. To add one: the function, its row in
# COMMANDS, its lines in the docstring at the top, the README and HELP.

HELP = """usage: procdoc.py [PID | NAME | COMMAND ...] [options]

  procdoc.py 45678                        diagnose one process
  procdoc.py payment                      by name: comm, or a part of the command line
  procdoc.py [scan]                       every visible process, the suspicious first
  procdoc.py system                       the host: cpu, memory, load, pressure, mounts,
                                          tcp, interrupts, kernel settings
  procdoc.py same PID PID...              which of these share a container
  procdoc.py recover PID FD|exe -o OUT    save a file that was deleted while still open
  procdoc.py capture PID -o SNAP.tar.gz   save what a diagnosis reads ("-o -": to stdout)
  procdoc.py capture-script               print a sh script that captures the same where
                                          there is no Python
  procdoc.py explain [--arch A] WORD...   what a /proc file, state, wchan, system call,
                                          signal mask, errno or finding code means

A bare number is always a PID. A word that is a command is a command; any other is a name.
Without a copy on the target:  kubectl exec -i POD -- python3 - 1 < procdoc.py

options:
  --root DIR-or-TAR     read a snapshot (folder, .tar, .tar.gz) instead of the live system
  --seconds S           how long to watch before judging (1.0); 0 reads once
  --full                every thread, descriptor and mapping, ungrouped
  --json                one JSON object instead of text
  --show-secrets        do not mask secrets in command lines and environments
  --timeout S           the longest that any one read may hold the report up (3)
  --color auto|always|never
  -o OUT                where recover and capture write; never over an existing file
  --arch A              explain: x86_64, aarch64, i386 or arm
  --version, --help

exit status: 0 nothing wrong found; 1 a warning or critical finding; 2 wrong call;
3 no such process, or it ended too soon; 4 nothing readable, or an unusable snapshot
"""

OK, FOUND, USAGE, NO_PROCESS, UNREADABLE = 0, 1, 2, 3, 4


class Stop(Exception):
    """End with a status and a message on standard error."""

    def __init__(self, status, message):
        Exception.__init__(self, message)
        self.status = status


class Options:
    """The options with their defaults; words is what is no option."""

    def __init__(self):
        self.root, self.seconds, self.full, self.json = '/', 1.0, False, False
        self.show_secrets, self.timeout, self.color = False, 3.0, 'auto'
        self.out, self.arch, self.words = None, None, []


VALUED = {'--root': 'root', '--seconds': 'seconds', '--timeout': 'timeout', '--color': 'color', '--colour': 'color', '-o': 'out', '--out': 'out', '--arch': 'arch'}
FLAGS = {'--full': 'full', '--json': 'json', '--show-secrets': 'show_secrets'}


def parse_options(argv):
    """argv -> Options; raises Stop. Options may stand anywhere; '--' ends them."""
    options, rest = Options(), list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition('=')
        if word == '--':
            options.words += rest
            break
        if word in ('-h', '--help'):
            raise Stop(OK, HELP)
        if word in ('-V', '--version'):
            raise Stop(OK, 'procdoc %s\n' % VERSION)
        if word in FLAGS:
            setattr(options, FLAGS[word], True)
        elif name in VALUED:
            if not equals:
                if not rest:
                    raise Stop(USAGE, '%s needs a value' % name)
                value = rest.pop(0)
            setattr(options, VALUED[name], value)
        elif word.startswith('-') and word != '-' and number(word) is None:
            raise Stop(USAGE, 'no such option: %s (see --help)' % safe(word))
        else:
            options.words.append(word)
    check_options(options)
    return options


def check_options(options):
    """Turn the numbers into numbers; raises Stop."""
    for name, low, high in (('seconds', 0.0, 3600.0), ('timeout', 0.05, 3600.0)):
        try:
            value = float(getattr(options, name))
        except ValueError:
            value = -1.0
        if not low <= value <= high:
            raise Stop(USAGE, '--%s takes a number of seconds from %g to %g' % (name, low, high))
        setattr(options, name, value)
    if options.color not in ('auto', 'always', 'never'):
        raise Stop(USAGE, '--color takes auto, always or never')


def open_reader(options):
    """The Reader of --root; raises Stop."""
    try:
        tree = open_tree(options.root)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Stop(UNREADABLE, 'cannot use %s as a snapshot: %s' % (safe(options.root), safe(reason)))
    reader = Reader(tree, options.timeout, options.show_secrets)
    if reader.live and reader.names('proc') is None:
        raise Stop(UNREADABLE, 'cannot read /proc: is it mounted here?')
    return reader


def screen(options, stream=None):
    """The Screen for standard output."""
    stream = stream or sys.stdout
    colour = options.color == 'always' or (options.color == 'auto' and 'NO_COLOR' not in os.environ
                                           and stream.isatty() and os.environ.get('TERM') != 'dumb')
    return Screen(stream, colour, options.full)


def show_json(value):
    """One JSON object on standard output."""
    for piece in json_lines(value):
        sys.stdout.write(piece)
    sys.stdout.flush()


def complain(message):
    """One line on standard error."""
    try:
        sys.stderr.write('procdoc: %s\n' % message)
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


# --- diagnose

def missing_process(reader, pid):
    """Why there is no such process -> Stop."""
    error = reader.gaps.get('proc/%d/stat' % pid) or reader.gaps.get('proc/%d' % pid)
    if error in ('EACCES', 'EPERM'):
        return Stop(UNREADABLE, 'process %d may not be looked at from here (%s)' % (pid, error))
    if not reader.live:
        seen = reader.pids('proc') or []
        return Stop(NO_PROCESS, 'no readable process %d in the snapshot; it has %s' % (
            pid, ', '.join(map(str, seen[:12])) + (' ...' if len(seen) > 12 else '') if seen else 'none'))
    hidden = ' (or hidden: /proc is mounted with hidepid)' if hides_processes(reader) else ''
    return Stop(NO_PROCESS, 'no process %d here: it ended, never was, or is in another PID namespace%s' % (pid, hidden))


def hides_processes(reader):
    """hidepid keeps other users' processes out of the listing: pid 1 is always there otherwise."""
    pids = reader.pids('proc')
    return bool(pids) and 1 not in pids


def find_pids(reader, name):
    """Pids whose comm is that name, else whose command line holds it; never our own."""
    exact, part = [], []
    mine = {os.getpid(), os.getppid()} if reader.live else set()
    with Unrecorded(reader):
        for pid in reader.pids('proc') or ():
            if pid in mine or pid == 0:
                continue
            comm = one_line(reader.read('proc/%d/comm' % pid))
            if comm is None:
                continue
            if comm == name:
                exact.append((pid, comm))
                continue
            argv = parsed(parse_cmdline, reader.read('proc/%d/cmdline' % pid)) or []
            if name in ' '.join(argv) or name in comm:
                part.append((pid, comm))
    return exact or part


def resolve(reader, word):
    """A word of the command line -> pid; raises Stop."""
    pid = number(word)
    if pid is not None:
        if pid <= 0 or pid > 1 << 31:
            raise Stop(NO_PROCESS, 'no process %s: a pid is a number from 1 to 4194304' % safe(word))
        return pid
    if word.isdigit():
        raise Stop(NO_PROCESS, 'no process has so large a number')
    found = find_pids(reader, word)
    if len(found) == 1:
        return found[0][0]
    if not found:
        raise Stop(NO_PROCESS, 'no process is called %s' % safe(word))
    rows = '\n'.join('  %7d  %s' % (pid, safe(comm)) for pid, comm in found[:40])
    more = '\n  ... and %d more' % (len(found) - 40) if len(found) > 40 else ''
    raise Stop(USAGE, '%d processes match %s; give the pid of one:\n%s%s' % (len(found), safe(word), rows, more))


def cmd_diagnose(options):
    """procdoc.py PID or NAME."""
    if len(options.words) != 1:
        raise Stop(USAGE, 'one process at a time: %s' % ' '.join(safe(word) for word in options.words))
    reader = open_reader(options)
    try:
        pid = resolve(reader, options.words[0])
        snap = collect(reader, pid, options.seconds, options.full or options.json)
        if snap is None:
            raise missing_process(reader, pid)
    finally:
        reader.close()
    snap = snap._replace(full=options.full)
    f, findings = diagnose(snap)
    f.verdict = findings[0]
    if options.json:
        show_json(json_report(f, findings))
    else:
        screen(options).write(text_report(f, findings))
    return exit_status(findings)


# --- capture

def cmd_capture(options):
    """procdoc.py capture PID -o SNAP.tar.gz: the same collection, recorded."""
    if len(options.words) != 1 or not options.out:
        raise Stop(USAGE, 'capture PID -o SNAP.tar.gz   ("-o -" writes a tar.gz to standard output)')
    if options.out == '-' and sys.stdout.isatty():
        raise Stop(USAGE, 'a tar does not belong on a terminal: redirect it, or -o FILE')
    reader = open_reader(options)
    reader.record = {}
    try:
        pid = resolve(reader, options.words[0])
        snap = collect(reader, pid, options.seconds, True)
        if snap is None:
            raise missing_process(reader, pid)
        write_capture(reader, snap, options.out)
    finally:
        reader.close()
    if options.json and options.out != '-':
        show_json({'schema': 'procdoc/1', 'procdoc': VERSION, 'pid': pid, 'snapshot': options.out})
    elif options.out != '-':
        complain('wrote %s; look at it with: python3 procdoc.py --root %s %d' % (safe(options.out), safe(options.out), pid))
    return OK


def capture_meta(reader, snap):
    """meta.json: what is in no file."""
    meta = dict(reader.meta)
    meta.update({'schema': 'procdoc-snapshot/1', 'procdoc': VERSION, 'pid': snap.pid, 'show_secrets': bool(reader.show_secrets),
                 'gaps': {clean(path): error for path, error in reader.gaps.items()},
                 'answers': {key: to_json(value) for key, value in reader.answers.items() if value is not None},
                 'empty': [clean(path) for path, data in reader.record.items() if data == []]})
    return meta


def write_capture(reader, snap, out):
    """The recorded files as a tar.gz, mode 0600, never over an existing file; raises Stop."""
    import gzip
    import io
    import json
    import tarfile
    try:
        fd = 1 if out == '-' else os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Stop(USAGE, '%s exists: nothing is overwritten' % safe(out))
    except OSError as error:
        raise Stop(USAGE, 'cannot write %s: %s' % (safe(out), error.strerror))
    meta = json.dumps(capture_meta(reader, snap), indent=1, sort_keys=True).encode('ascii')
    files = dict(reader.record)
    files['meta.json'] = meta
    when = int(snap.taken_at or 0)
    try:
        with os.fdopen(fd, 'wb', closefd=out != '-') as raw:
            with gzip.GzipFile(filename='', fileobj=raw, mode='wb', mtime=when, compresslevel=6) as zipped:        # 9 takes twice the time for a fifth less
                with tarfile.open(fileobj=zipped, mode='w|', format=tarfile.PAX_FORMAT, encoding='utf-8', errors='surrogateescape') as tar:
                    for path in sorted(files):
                        add_member(tar, path, files[path], when, io)
    except OSError as error:
        if out != '-':
            os.unlink(out)
        raise Stop(USAGE, 'could not write %s: %s; the partial file was removed' % (safe(out), error.strerror))


def add_member(tar, path, data, when, io):
    """One file, link (a tuple) or empty folder (a list) of the record."""
    import tarfile
    member = tarfile.TarInfo('snapshot/' + path)
    member.mtime, member.mode = when, 0o600
    if isinstance(data, tuple):
        member.type, member.linkname = tarfile.SYMTYPE, data[0].decode('utf-8', 'surrogateescape')
        tar.addfile(member)
    elif isinstance(data, list):
        member.type, member.mode = tarfile.DIRTYPE, 0o700
        tar.addfile(member)
    else:
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))


def cmd_capture_script(options):
    """procdoc.py capture-script"""
    sys.stdout.write(CAPTURE_SCRIPT.lstrip('\n'))
    sys.stdout.flush()
    return OK


# --- the others

def cmd_explain(options):
    """procdoc.py explain WORD..."""
    if not options.words:
        raise Stop(USAGE, 'explain WORD...: a /proc file, state, wait channel, system call, signal mask, errno or finding code')
    arch = options.arch or os.uname().machine
    known = arch_name(arch) if arch_name(arch) in ARCHITECTURES else None
    if options.arch and known is None:
        raise Stop(USAGE, '--arch takes x86_64, aarch64, i386 or arm')
    entries = explain_words(options.words, known or 'x86_64')
    if options.json:
        show_json({'schema': 'procdoc/1', 'procdoc': VERSION, 'entries': entries})
    else:
        for line in format_explain(entries):
            if screen(options).ascii:
                line = line.encode('ascii', 'backslashreplace').decode('ascii')
            sys.stdout.write(line + '\n')
    return explain_status(entries)


def cmd_same(options):
    """procdoc.py same PID PID..."""
    if len(options.words) < 2:
        raise Stop(USAGE, 'same PID PID...: two or more processes')
    reader = open_reader(options)
    try:
        table = same_table(collect_same(reader, [resolve(reader, word) for word in options.words]))
    finally:
        reader.close()
    if options.json:
        show_json(dict(table, schema='procdoc/1', procdoc=VERSION))
    else:
        screen(options).write([Line(line, 0) for line in format_same(table)])
    return table['status']


def cmd_system(options):
    """procdoc.py system"""
    reader = open_reader(options)
    try:
        facts = collect_system(reader, options.seconds)
    finally:
        reader.close()
    if options.json:
        show_json(dict(facts, schema='procdoc/1', procdoc=VERSION))
    else:
        screen(options).write([Line(line, 0) for line in format_system(facts)])
    return system_status(facts)


# --- scan: every visible process

SCAN_THREADS = 20000        # threads looked at in one scan, all processes together
SCAN_OF_ONE = 300           # threads of one process


class Row(NamedTuple):
    """One process of a scan. flags are (severity, code, words)."""
    pid: int
    comm: str
    state: str
    uid: Optional[int] = None
    threads: Optional[int] = None
    cpu_pct: Optional[float] = None
    fds: Optional[int] = None
    limit: Optional[int] = None
    what: str = ''
    command: str = ''
    kernel: bool = False
    flags: tuple = ()


def scan_look(reader, pids, progress):
    """First look -> {pid: dict}; a process that ends meanwhile, or cannot be read, costs only itself."""
    found = {}
    for start in range(0, len(pids), 64):
        if progress:
            progress(start, len(pids))
        some = pids[start:start + 64]
        stats = {pid: stat for pid, stat in zip(some, read_stats(reader, some)) if stat is not None}
        alive = [pid for pid, stat in stats.items() if not stat.is_kernel_thread and stat.state not in 'ZX']
        links = dict(zip(alive, reader.together('link', ['proc/%d/exe' % pid for pid in alive])))
        words = dict(zip(alive, reader.together('read', ['proc/%d/cmdline' % pid for pid in alive])))
        for pid, stat in stats.items():
            base = 'proc/%d/' % pid
            found[pid] = row = {'stat': stat, 'threads': ()}
            if pid not in links:
                row['wchan'] = parsed(parse_wchan, reader.read(base + 'wchan')) if stat.state == 'D' else None
                continue
            names = reader.names(base + 'fd')
            row['fds'] = len(names) if names is not None else None
            row['limit'] = soft_limit(reader.read(base + 'limits')) if row['fds'] and row['fds'] > 64 else None
            row['exe'] = links[pid]
            status = reader.read(base + 'status')
            row['uid'], row['stuck'] = uid_of(status), stuck_fatal(status)
            row['cgroup'] = reader.read(base + 'cgroup')
            row['argv'] = parsed(parse_cmdline, words[pid])
    return found


def uid_of(status):
    """The real uid of a status file's bytes, or None."""
    found = UID_LINE.search(status or b'')
    return int(found.group(1)) if found else None


FATAL_SIGNALS = ((1, 'SIGHUP'), (2, 'SIGINT'), (3, 'SIGQUIT'), (15, 'SIGTERM'))


def stuck_fatal(status):
    """The signals of a status file's bytes that should end the process, were sent, and are blocked: their names. The masks are
    the main thread's: of a process with more, only what was sent to that thread is surely stuck."""
    fields = parse_status(status) if status else {}
    blocked, own, shared = [status_mask(fields, name) or 0 for name in ('SigBlk', 'SigPnd', 'ShdPnd')]
    stuck = blocked & (own | shared if status_number(fields, 'Threads') == 1 else own)
    return [name for n, name in FATAL_SIGNALS if stuck >> (n - 1) & 1]


def lock_holders_of(reader):
    """{pid: who has the file lock that it waits for}, of all processes: one file tells."""
    locks = parsed(parse_locks, reader.read('proc/locks')) or ()
    holders = {lock.ordinal: lock.pid for lock in locks if not lock.blocked}
    return {lock.pid: holders.get(lock.ordinal) for lock in locks if lock.blocked and lock.pid > 0}


UID_LINE = re.compile(br'^Uid:\s+([0-9]{1,10})\s', re.M)


def soft_limit(data):
    """The soft limit of open files."""
    limit = parse_limits(data).get('Max open files') if data else None
    return limit.soft if limit is not None and isinstance(limit.soft, int) else None


def scan_threads(reader, found):
    """What the threads wait in, of as many processes as the bound allows -> {pid: [Thread]}."""
    left, wanted, threads = SCAN_THREADS, [], {}
    for pid, row in found.items():
        count = row['stat'].num_threads or 1
        if row['stat'].is_kernel_thread or row['stat'].state in 'ZX' or left < count:
            continue
        tids = (reader.pids('proc/%d/task' % pid) or [pid])[:SCAN_OF_ONE]
        left -= len(tids)
        threads[pid] = []
        wanted += [(pid, tid) for tid in tids]
    names = ('stat', 'schedstat', 'wchan', 'syscall')
    for start in range(0, len(wanted), 100):
        some = wanted[start:start + 100]
        datas = reader.together('read', ['proc/%d/task/%d/%s' % (pid, tid, name) for pid, tid in some for name in names], share=400)
        for at, (pid, tid) in enumerate(some):
            stat, *others = datas[at * len(names):at * len(names) + len(names)]
            thread = thread_of(tid, stat, None, *others)
            if thread is not None:
                threads[pid].append(thread)
    return threads


def scan_flags(pid, row, later, threads, arch, children, seconds):
    """What is suspicious about one process -> [(severity, code, words)]."""
    stat, flags = row['stat'], []
    if stat.state == 'Z' and (stat.num_threads or 1) < 2:
        flags.append(('warning', 'zombie', 'has ended; its parent %s has not collected it' % stat.ppid))
    elif stat.state == 'Z':
        flags.append(('warning', 'zombie-leader', 'its main thread has ended, %s on' % ('another runs' if stat.num_threads == 2 else '%d others run' % (stat.num_threads - 1))))
    if 'awaits' in row:
        holder = row['awaits']
        flags.append(('warning', 'wait-file-lock', 'waits for a file lock' + (' that %d has' % holder if holder and holder > 0 else '')))
    if row.get('stuck'):
        flags.append(('warning', 'signal-blocked', '%s pending and blocked' % ', '.join(row['stuck'])))
    if stat.state in 'Tt':
        flags.append(('warning', 'stopped' if stat.state == 'T' else 'traced', 'is stopped' if stat.state == 'T' else 'is held by a tracer'))
    dead = [child for child in children.get(pid, ()) if child[1] == 'Z']
    if dead:
        flags.append(('warning', 'unreaped-children', '%s ended and not collected' % people(len(dead), 'child').replace('childs', 'children')))
    held = [thread for thread in threads if thread.stat.state == 'D' and later.get(thread.tid, 'D') == 'D']
    if stat.state == 'D' and later.get(pid, 'D') == 'D' and not held:
        flags.append(('warning' if stat.is_kernel_thread else 'critical', 'wait-kernel', 'is in D: %s' % (row.get('wchan') or 'where cannot be read')))
    if held:
        wait = wait_of(held[0], arch, None)
        code = OUTWARD.get(wait.kind, ('wait-kernel',))[0]
        flags.append(('critical', code, '%s in D%s: %s' % (people(len(held)), ' for %.1f s' % seconds if seconds else '', wait.name or 'where cannot be read')))
    if row.get('limit') and row['fds'] * 2 >= row['limit']:
        full = row['fds'] >= row['limit']
        flags.append(('critical' if full else 'warning', 'fd-exhausted' if full else 'fd-high', '%d of %d descriptors' % (row['fds'], row['limit'])))
    if (row.get('exe') or '').endswith(' (deleted)') and not row['exe'].startswith('/memfd:'):
        flags.append(('warning', 'deleted-exe', 'its executable was deleted or replaced'))
    return flags + scan_lock_flag(threads, arch)


def scan_lock_flag(threads, arch):
    """Three or more threads, and most of them, in one futex that looks like a mutex."""
    words = collections.Counter()
    for thread in threads:
        call = futex_call(arch, thread.tid, thread.syscall, call_name(arch, thread.syscall))
        if call is not None and (call.val == 2 or call.cmd in (6, 13)):
            words[call.uaddr] += 1
    for address, count in words.most_common(1):
        if count >= 3 and count * 2 >= len(threads):
            return [('warning', 'lock-suspect', '%d of %d threads wait for one lock' % (count, len(threads)))]
    return []


CPU_FILES = frozenset('cpu.max cpu.stat cpu.cfs_quota_us cpu.cfs_period_us cpu.weight cpu.shares'.split())


def throttled_groups(reader, found):
    """{text of PID/cgroup: {cpu.stat path: nr_throttled}} of the groups with a CPU quota."""
    groups, cache = {}, {}
    for pid, row in found.items():
        if row.get('cgroup') and row['cgroup'] not in groups:
            facts = cgroup_facts(collect_cgroup(reader, pid, only=CPU_FILES, cache=cache))
            groups[row['cgroup']] = {level['source']: level['nr_throttled'] for level in facts['cpu']
                                     if is_number(level['quota_cpus']) and level['nr_throttled'] is not None}
    return {key: value for key, value in groups.items() if value}


def full_listeners(reader):
    """{inode: words} of the TCP listeners of this network namespace whose queue is full."""
    queues = reader.ask('listeners', 'ask_listeners') if reader.live else None
    return {inode: 'accept queue full: %d of %d' % tuple(pair) for inode, pair in pairs_of(queues).items() if pair[0] > pair[1] > 0}


def scan(reader, seconds, progress=None):
    """-> [Row]: every visible process, the suspicious first."""
    pids = reader.pids('proc') or []
    found = scan_look(reader, [pid for pid in pids if pid > 0 and pid != os.getpid() or not reader.live], progress)
    arch = machine(reader)
    threads = scan_threads(reader, found)
    quotas, awaited = throttled_groups(reader, found), lock_holders_of(reader)
    started, later = time.monotonic(), {}
    watched = seconds if reader.live else 0
    if watched:
        time.sleep(seconds)
        later = {pid: parsed(parse_stat_look, data) for pid, data in zip(found, reader.together('read', ['proc/%d/stat' % pid for pid in found]))}
        for pid, rows in threads.items():
            for thread in rows:
                if thread.stat.state == 'D' and thread.tid != pid:
                    later[thread.tid] = parsed(parse_stat_look, reader.read('proc/%d/task/%d/stat' % (pid, thread.tid)))
        watched, still = time.monotonic() - started, lock_holders_of(reader)
        awaited = {pid: holder for pid, holder in still.items() if pid in awaited}
    for pid in set(awaited) & set(found):
        found[pid]['awaits'] = awaited[pid]
    held_back = throttled_now(reader, quotas) if watched else {}
    full = full_listeners(reader)
    holders = reader.ask('listening', 'find_holders', ['socket:[%d]' % inode for inode in full], 1.0, [os.getpid()]) if full else None
    listening = {holder[0]: full[number(holder[2][8:-1])] for holder in (holders or {}).get('holders', ())}
    children = {}
    for pid, row in found.items():
        children.setdefault(row['stat'].ppid, []).append((pid, row['stat'].state))
    rows, states = [], {tid: look.state for tid, look in later.items() if look is not None}
    for pid, row in found.items():
        flags = scan_flags(pid, row, states, threads.get(pid, ()), arch, children, watched)
        if row.get('cgroup') in held_back:
            flags.append(('warning', 'cpu-throttled', 'its CPU quota holds it back'))
        if pid in listening:
            flags.append(('critical', 'accept-queue-full', listening[pid]))
        rows.append(scan_row(pid, row, later.get(pid), threads.get(pid, ()), arch, flags, watched, positive(reader.fact('clk_tck', lambda: os.sysconf('SC_CLK_TCK')), 100)))
    rows.sort(key=lambda row: (min([SEVERITIES.index(flag[0]) for flag in row.flags] or [3]), row.kernel, -(row.cpu_pct or 0), row.pid))
    return rows


def throttled_now(reader, quotas):
    """The cgroup texts whose quota held something back since the first look."""
    now, moved = {}, set()
    for key, levels in quotas.items():
        for source, before in levels.items():
            if source not in now:
                now[source] = parse_flat(reader.read(source.lstrip('/')) or b'').get('nr_throttled')
            if now[source] is not None and now[source] > before:
                moved.add(key)
    return moved


def scan_row(pid, row, look, threads, arch, flags, watched, clk_tck):
    """-> Row."""
    stat = row['stat']
    cpu = None
    if look is not None and watched and None not in (look.utime, look.stime, stat.ticks):
        cpu = max(0.0, 100.0 * (look.utime + look.stime - stat.ticks) / clk_tck / watched)
    main = next((thread for thread in threads if thread.tid == pid), None)
    wait = wait_of(main, arch, None) if main is not None else None
    what = '' if wait is None else 'running' if wait.kind == 'running' else wait.call.name if wait.call is not None and wait.call.name else wait.name
    command = ' '.join(row.get('argv') or ()) or '[%s]' % stat.comm
    return Row(pid, stat.comm, stat.state, row.get('uid'), stat.num_threads, cpu, row.get('fds'), row.get('limit'), what, command,
               stat.is_kernel_thread, tuple(flags))


def scan_lines(rows, options, watched):
    """The table: what needs a look first, with its reason and the command to look closer."""
    kernel = sum(1 for row in rows if row.kernel and not row.flags)
    odd = [row for row in rows if row.flags]
    yield Line('procdoc %s: %d processes%s, %d need a look' % (VERSION, len(rows), ', watched %.1f s' % watched if watched else '', len(odd)), 0, 'bold')
    yield Line('', 0)
    yield Line('%7s %6s %s %5s %6s %7s %-15s %s' % ('PID', 'UID', 'S', 'THR', 'CPU%', 'FDS', 'WAITS IN', 'COMMAND'), 0, 'bold')
    for row in rows:
        if row.kernel and not row.flags and not options.full:
            continue
        line = '%7d %6s %s %5s %6s %7s %-15s %s' % (
            row.pid, '-' if row.uid is None else row.uid, row.state, row.threads, '-' if row.cpu_pct is None else '%.1f' % row.cpu_pct,
            '-' if row.fds is None else row.fds, row.what[:15] or '-', row.command)
        yield Line(line if options.full else cut(line, WIDTH), 0)
        for severity, code, words in row.flags:
            yield Line('%s %s: %s' % (severity.upper(), code, words), 9, severity)
    if kernel and not options.full:
        yield Line('        and %d kernel threads without a fault (--full shows them)' % kernel, 0)
    if odd:
        yield Line('', 0)
        yield Line('look closer: python3 procdoc.py %d' % odd[0].pid, 0, 'next')


def progress_on(stream):
    """A progress writer for a terminal, None elsewhere."""
    if not stream.isatty():
        return None

    def progress(done, total):
        stream.write('\r%d of %d processes' % (done, total) if done < total else '\r\x1b[K')
        stream.flush()
    return progress


def cmd_scan(options):
    """procdoc.py scan, also without arguments."""
    if options.words:
        raise Stop(USAGE, 'scan takes no process; for one process: procdoc.py PID')
    reader = open_reader(options)
    progress = progress_on(sys.stderr)
    try:
        rows = scan(reader, options.seconds, progress)
    finally:
        reader.close()
    if progress:
        progress(1, 1)
    if not rows:
        raise Stop(UNREADABLE, 'no process can be seen')
    watched = options.seconds if reader.live else 0
    if options.json:
        show_json({'schema': 'procdoc/1', 'procdoc': VERSION, 'taken_at': iso_time(reader.fact('taken_at', time.time)), 'watched_s': watched,
                   'processes': [dict(row._asdict(), flags=[dict(zip(('severity', 'code', 'text'), flag)) for flag in row.flags]) for row in rows],
                   'gaps': [{'path': path[5:] if path.startswith('proc/') else path, 'error': error} for path, error in sorted(reader.gaps.items())
                            if error not in QUIET_GAPS][:1000]})
    else:
        screen(options).write(scan_lines(rows, options, watched))
    return FOUND if any(flag[0] in ('critical', 'warning') for row in rows for flag in row.flags) else OK


def cmd_recover(options):
    """procdoc.py recover PID FD|exe -o OUT"""
    if len(options.words) != 2 or not options.out or options.out == '-':
        raise Stop(USAGE, 'recover PID FD -o OUT, or: recover PID exe -o OUT')
    if options.root != '/':
        raise Stop(USAGE, 'recover works on a live process only')
    pid, what = number(options.words[0]), options.words[1]
    if pid is None or (what != 'exe' and number(what) is None):
        raise Stop(USAGE, 'recover takes the number of a process and of a descriptor, or exe')
    status, message = recover(pid, what, options.out, terminal_progress(sys.stderr) if sys.stderr.isatty() else None, max(options.timeout, 3.0))
    if options.json:
        show_json({'schema': 'procdoc/1', 'procdoc': VERSION, 'pid': pid, 'what': what, 'out': options.out, 'status': status, 'message': message})
    else:
        complain(message)
    return status


COMMANDS = {'scan': cmd_scan, 'recover': cmd_recover, 'capture': cmd_capture, 'capture-script': cmd_capture_script, 'explain': cmd_explain, 'same': cmd_same, 'system': cmd_system}


def run(argv):
    """One command -> its exit status."""
    options = parse_options(argv)
    if not options.words:
        options.words = ['scan']
    command = COMMANDS.get(options.words[0])
    if command is None:
        return cmd_diagnose(options)
    options.words = options.words[1:]
    return command(options)


def tolerant(stream):
    """A stream of Python 3.6 under LC_ALL=C must not raise on a character it cannot show."""
    try:
        stream.errors and stream.reconfigure(errors='backslashreplace')
    except (AttributeError, ValueError, OSError):
        pass


def main(argv=None):
    """The exit status; messages go to standard error, a closed pipe ends it quietly."""
    open_standard_streams()
    import gc
    gc.disable()                            # one short run, and no cycles to speak of: the collector would be a tenth of it
    for stream in (sys.stdout, sys.stderr):
        tolerant(stream)
    try:
        status = answered(sys.argv[1:] if argv is None else argv)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return OK
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if not isinstance(error, OSError):      # a bug of ours: one line, not a page, at 2 AM
            if os.environ.get('PROCDOC_DEBUG'):
                raise
            complain('internal error: %s: %s (PROCDOC_DEBUG=1 shows where)' % (type(error).__name__, safe(str(error))))
            return UNREADABLE
        # standard output: a full disk, a closed stream
        complain('cannot write the answer: %s' % (error.strerror or error))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return UNREADABLE


def answered(argv):
    """run(argv), where a Stop is its message and status."""
    try:
        return run(argv)
    except Stop as stop:
        if stop.status == OK:
            sys.stdout.write(str(stop))
        else:
            complain(stop)
        return stop.status


def open_standard_streams():
    """A supervisor may start us with standard streams closed: the next pipe would then be one of them."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, 'w')
    if sys.stderr is None:
        sys.stderr = open(os.devnull, 'w')


'''
if 'ROOMS' in globals():
    furnish() if __name__ == '__main__' else run_rooms()

if __name__ == '__main__':
    sys.exit(main())
