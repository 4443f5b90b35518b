/* Portcullis plugin boundary, version 1.0: everything that a login strategy in a shared
 * library needs. The rules are in docs/plugin-abi.md, the messages as well. In short:
 *
 * - A library exports one function, portcullis_plugin_v1, and has one ELF section,
 *   ".portcullis", whose bytes are those of `info`.
 * - Bytes are borrowed until the call that carries them returns. Copy what you keep; free
 *   nothing that came from the other side.
 * - Every `create`, `call` and `destroy` is answered once, by `complete` with its ticket,
 *   from any thread, also from inside the call. A `create` that returns other than 0 is not.
 * - Without PC_FLAG_ASYNC the gateway calls from threads that may block, several at a time.
 * - No exception and no longjmp may leave a function of the library.
 */
#ifndef PORTCULLIS_PLUGIN_H
#define PORTCULLIS_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PC_ABI_MAJOR 1
#define PC_ABI_MINOR 0

#define PC_FLAG_ASYNC 1u

#define PC_STATUS_OK 0u
#define PC_STATUS_ERROR 1u
#define PC_STATUS_PANIC 2u
#define PC_STATUS_UNSUPPORTED 3u
#define PC_STATUS_CANCELLED 4u

#define PC_OP_BEGIN 1u
#define PC_OP_RESUME 2u
#define PC_OP_CREDENTIALS 3u
#define PC_OP_REFRESH 4u
#define PC_OP_LOGOUT 5u
#define PC_OP_NOTICE 6u
#define PC_OP_CHANGE_SECRET 7u
#define PC_OP_DIAGNOSE 8u
#define PC_OP_HEALTH 9u

#define PC_LEVEL_ERROR 1u
#define PC_LEVEL_WARN 2u
#define PC_LEVEL_INFO 3u
#define PC_LEVEL_DEBUG 4u

typedef struct {
    const uint8_t *ptr; /* may be NULL when len is 0 */
    size_t len;
} pc_bytes;

typedef void (*pc_done)(void *user, uint64_t ticket, uint32_t status, pc_bytes body);

/* What the gateway lends. Static, valid for ever. */
typedef struct {
    size_t struct_size;
    uint16_t abi_major, abi_minor;
    uint32_t reserved;
    void (*complete)(uint64_t instance, uint64_t ticket, uint32_t status, pc_bytes body);
    void (*log)(uint64_t instance, uint32_t level, pc_bytes target, pc_bytes message, pc_bytes fields_json);
    uint64_t (*now_unix_ms)(uint64_t instance);
    int32_t (*random)(uint64_t instance, uint8_t *out, size_t len);
    /* for later: answers PC_STATUS_UNSUPPORTED */
    void (*service)(uint64_t instance, pc_bytes op, pc_bytes request, uint64_t ticket, pc_done done, void *user);
} pc_host;

/* What a library is. Static, valid for ever. */
typedef struct {
    size_t struct_size;
    uint16_t abi_major, abi_minor, min_host_minor, reserved;
    uint32_t flags, reserved2;
    pc_bytes info;
    int32_t (*create)(const pc_host *host, uint64_t instance, uint64_t ticket, pc_bytes kind,
                      pc_bytes settings, void **out);
    void (*call)(void *inst, uint64_t ticket, uint32_t op, pc_bytes request);
    void (*cancel)(void *inst, uint64_t ticket);  /* may be NULL */
    void (*destroy)(void *inst, uint64_t ticket); /* the last use of inst */
    uint64_t (*queued)(void *inst);               /* may be NULL */
} pc_plugin;

/* The only exported symbol. */
__attribute__((visibility("default"))) const pc_plugin *portcullis_plugin_v1(const pc_host *host);

#ifdef __cplusplus
}
#endif

#endif
