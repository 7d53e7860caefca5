# shellcheck shell=bash disable=SC2034,SC2154
# How scripts/libav.sh builds LAME, the encoder; sourced by it, never run.
#
# LAME takes nine tenths of a conversion's time. Debian builds it for any processor of the last
# twenty years, with the parts left out that are written for SSE. Built for the processors of the
# last ten (x86-64-v3: AVX2, FMA), it takes a fifth less. So it is built twice, and a program takes
# when it starts what its processor can do. On other architectures there is one build.
#
# -ffast-math lets the compiler reorder sums. Without finite-math-only: what is not a number must
# stay what it is.

lame_flags="-O3 -ffast-math -fno-finite-math-only -fstack-protector-strong -D_FORTIFY_SOURCE=2"
lame_variants() {
	case $($cc -dumpmachine) in
	x86_64-*linux-gnu) echo "sse2:-DMIN_ARCH_SSE v3:-DMIN_ARCH_SSE,-march=x86-64-v3" ;;
	x86_64-*) echo "sse2:-DMIN_ARCH_SSE" ;;
	*) echo "plain:" ;;
	esac
}

# Builds LAME into the folder $1, as lib/libmp3lame.a and include/lame/lame.h. FFmpeg's source is in the
# current folder: what it calls of LAME is all that is kept.
build_lame() {
	local to=$1 lame=$work/lame variants variant names=()
	variants=$(lame_variants)
	mkdir -p "$to/lib" "$to/include/lame" "$lame/source"
	tar -C "$lame/source" --strip-components=1 -xf "$lame_tarball" || return 1
	(cd "$lame/source" && ./configure --quiet CC="$cc" --disable-shared --enable-static --with-pic \
		--disable-frontend --disable-decoder --disable-gtktest --disable-dependency-tracking) || return 1
	for variant in $variants; do
		names+=("${variant%%:*}")
		lame_variant "${variant%%:*}" "${variant#*:}" || return 1
	done
	cp "$lame/source/include/lame.h" "$to/include/lame/"
	if [ ${#names[@]} = 1 ]; then
		mv "$lame/${names[0]}.a" "$to/lib/libmp3lame.a"
		return
	fi
	local symbols name
	symbols=$(grep -oh '\blame_[a-zA-Z_]*' libavcodec/libmp3lame.c | sort -u |
		comm -12 - <(nm --defined-only -g "$lame/${names[0]}.a" 2>/dev/null | sed -n 's/.* T //p' | sort))
	for name in "${names[@]}"; do
		lame_object "$name" "$symbols" || return 1
	done
	lame_dispatch "$symbols" >"$lame/dispatch.c"
	$cc -O2 -fPIC -c -o "$lame/dispatch.o" "$lame/dispatch.c" || return 1
	(cd "$lame" && ar rcs "$to/lib/libmp3lame.a" dispatch.o "${names[@]/%/.o}")
}

# Compiles the variant $1 with further flags, $2, into $work/lame/$1.a.
lame_variant() {
	local to=$work/lame/$1
	cp -r "$work/lame/source" "$to" &&
		make -s -j"$(getconf _NPROCESSORS_ONLN)" -C "$to/libmp3lame" CFLAGS="$lame_flags ${2//,/ }" &&
		mv "$to/libmp3lame/.libs/libmp3lame.a" "$to.a" && rm -rf "$to"
}

# Makes $work/lame/$1.o of a variant: its only symbols are those of $2, each with the variant's name before it.
lame_object() {
	local lame=$work/lame symbol options=()
	for symbol in $2; do
		options+=(--redefine-sym "$symbol=$1_$symbol" --keep-global-symbol "$1_$symbol")
	done
	ld -r -o "$lame/$1.whole" --whole-archive "$lame/$1.a" && objcopy "${options[@]}" "$lame/$1.whole" "$lame/$1.o"
}

# Prints the C source of the symbols by their own names: the dynamic linker asks once, at the start,
# which of the two each is.
lame_dispatch() {
	local symbol
	cat <<-'C'
		#define CHOICE(name) \
			void sse2_##name(void); \
			void v3_##name(void); \
			static void (*choose_##name(void))(void) { \
				__builtin_cpu_init(); \
				return __builtin_cpu_supports("x86-64-v3") ? v3_##name : sse2_##name; \
			} \
			void name(void) __attribute__((ifunc("choose_" #name)));
	C
	for symbol in $1; do
		echo "CHOICE($symbol)"
	done
}
