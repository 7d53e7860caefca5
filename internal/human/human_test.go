package human

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0:00.0", 40 * time.Millisecond: "0:00.0", 9940 * time.Millisecond: "0:09.9", 9960 * time.Millisecond: "0:10",
		10 * time.Second: "0:10", 59600 * time.Millisecond: "1:00", 62 * time.Second: "1:02",
		time.Hour: "1:00:00", 3723 * time.Second: "1:02:03", 25 * time.Hour: "25:00:00", -time.Second: "0:00.0",
	} {
		if got := Clock(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

func TestSizeAndSpeed(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 245760: "240 KiB", 1047000: "1022 KiB", 1048000: "1023 KiB",
		1048576: "1.0 MiB", 13472208: "12.8 MiB", 200 << 20: "200 MiB", 3 << 30: "3.0 GiB", 1 << 50: "1024 TiB",
	} {
		if got := Size(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	for f, want := range map[float64]string{0: "0.0x", 3.44: "3.4x", 9.96: "10x", 152.2: "152x"} {
		if got := Times(f); got != want {
			t.Errorf("%v is %s, want %s", f, got, want)
		}
	}
	for hz, want := range map[int]string{44100: "44.1 kHz", 48000: "48 kHz", 11025: "11.025 kHz"} {
		if got := Kilohertz(hz); got != want {
			t.Errorf("%v is %s, want %s", hz, got, want)
		}
	}
}
