// Package human writes lengths, sizes and rates for people, the same way in the
// command and in mails. It imports the standard library only.
package human

import (
	"fmt"
	"time"
)

// Clock writes a duration as a player shows it: 3:05 or 1:02:03, and with a
// tenth below ten seconds.
func Clock(d time.Duration) string {
	d = max(d, 0)
	if d = d.Round(100 * time.Millisecond); d < 10*time.Second {
		return fmt.Sprintf("0:%04.1f", d.Seconds())
	}
	return ShortClock(d)
}

// ShortClock writes a duration as Clock does, without tenths.
func ShortClock(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// Size writes a number of bytes: 1023 B, 240 KiB, 12.8 MiB.
func Size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1024, 0
	for f >= 1023.5 && unit < 3 {
		f /= 1024
		unit++
	}
	digits := 0
	if unit > 0 && f < 99.95 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, f, [...]string{"KiB", "MiB", "GiB", "TiB"}[unit])
}

// Times writes a speed as a multiple of real time: 3.4x or 152x.
func Times(speed float64) string {
	if speed < 9.95 {
		return fmt.Sprintf("%.1fx", speed)
	}
	return fmt.Sprintf("%.0fx", speed)
}

// Kilohertz writes a sample rate in Hz: 44.1 kHz.
func Kilohertz(hz int) string {
	return fmt.Sprintf("%g kHz", float64(hz)/1000)
}
