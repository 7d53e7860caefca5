#include "textflag.h"

// func install()
TEXT ·install(SB), NOSPLIT, $0
	MOVQ runtime·vdsoClockgettimeSym(SB), AX
	MOVQ AX, ·original(SB)
	LEAQ ·clock(SB), AX
	MOVQ AX, runtime·vdsoClockgettimeSym(SB)
	RET

// int clock(clockid_t DI, struct timespec *SI), by the calling convention of C: the time
// of day (0, CLOCK_REALTIME) is five minutes ahead, all others are right.
TEXT ·clock(SB), NOSPLIT|NOFRAME, $0
	PUSHQ DI
	PUSHQ SI
	SUBQ  $8, SP // C wants a multiple of 16
	MOVQ  ·original(SB), AX
	CALL  AX
	ADDQ  $8, SP
	POPQ  SI
	POPQ  DI
	CMPL  DI, $0
	JNE   done
	ADDQ  $300, 0(SI)

done:
	RET
