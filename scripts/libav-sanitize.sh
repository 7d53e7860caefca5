# shellcheck shell=bash disable=SC2034,SC2154
# How scripts/libav.sh builds libav and LAME for finding faults in them (LIBAV=sanitized); sourced by
# it, never run.
#
# With AddressSanitizer every access to memory is checked, with UndefinedBehaviorSanitizer every
# operation that C leaves undefined; either ends the program with a report. Assembly cannot be checked,
# so it is left out and the C that it stands for is at work, which is several times slower. LAME is there
# once: the choice between its two builds is made before the sanitizers are ready.

sanitize_flags="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined"
sanitize_link="-fsanitize=address,undefined"

# What of UndefinedBehaviorSanitizer is left out, and why.
#
# nonnull-attribute: libav copies nothing from nowhere, memcpy(p, NULL, 0), where a list is empty
#   (mov_update_iamf_streams in mov.c, for one). Every libc takes that for what it is.
# alignment: ac3_decode_frame reads a packet's bytes as words of 16 bits from wherever they lie
#   (bswap16_buf in bswapdsp.c). Every processor that this is built for does that.
libav_unchecked="-fno-sanitize=nonnull-attribute -fno-sanitize=alignment"
# shift: LAME shifts bits out at the upper end of an int when it writes its stream (putbits2 in
#   bitstream.c), and shifts negative numbers to the left (inc_subblock_gain in quantize.c). gcc and
#   clang define both as one would think.
lame_unchecked="-fno-sanitize=shift"

sanitize_options=(--disable-asm --disable-stripping --optflags=-O1
	"--extra-cflags=$sanitize_flags $libav_unchecked" "--extra-ldflags=$sanitize_link")
lame_flags="$sanitize_flags $lame_unchecked -ffast-math -fno-finite-math-only"
lame_variants() {
	case $($cc -dumpmachine) in
	x86_64-*) echo "sse2:-DMIN_ARCH_SSE" ;;
	*) echo "plain:" ;;
	esac
}
