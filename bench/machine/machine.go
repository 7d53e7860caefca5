// Package machine tells where a bench's figures come from, and what else the machine did
// while they were measured.
package machine

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Machine is where figures come from.
type Machine struct {
	Processor  string `json:"processor"`
	Processors int    `json:"processors"`
	Memory     int64  `json:"memory_bytes"`
	System     string `json:"system"`
	Go         string `json:"go"`
}

// Describe describes this one. What cannot be told is "unknown".
func Describe() Machine {
	return Machine{
		Processor:  field("/proc/cpuinfo", "model name\t: "),
		Processors: runtime.NumCPU(),
		Memory:     kib(field("/proc/meminfo", "MemTotal:")),
		System:     strings.Trim(field("/etc/os-release", "PRETTY_NAME="), `"`) + ", Linux " + FirstLine("uname", "-r"),
		Go:         runtime.Version(),
	}
}

// field returns the rest of the first line of a file that begins with a name.
func field(file, name string) string {
	b, _ := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(rest)
		}
	}
	return "unknown"
}

func kib(s string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(s, " kB"), 10, 64)
	return n << 10
}

// FirstLine is the first line that a command prints, without a copyright, or "unknown".
func FirstLine(command ...string) string {
	out, err := exec.Command(command[0], command[1:]...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	line, _, _ = strings.Cut(line, " Copyright")
	return strings.TrimSpace(line)
}

// Load is what others did on the machine while something was measured.
type Load struct {
	Average string  `json:"load_average"`      // at the beginning, over 1, 5 and 15 minutes
	Others  float64 `json:"others_processors"` // processors that other processes kept busy, on average
	Stolen  float64 `json:"stolen_processors"` // processors that other machines kept from this one, on average
	Seconds float64 `json:"seconds"`           // how long it took
}

// Quiet reports whether the figures can be trusted.
func (l Load) Quiet() bool { return l.Others < 0.05 && l.Stolen < 0.02 }

// String is a sentence without its end.
func (l Load) String() string {
	return fmt.Sprintf("load average at the beginning %s; meanwhile, other processes kept %.2f processors busy, and %.2f were stolen by other machines",
		l.Average, l.Others, l.Stolen)
}

// Watch looks at the machine until the function it returns is called.
func Watch() func() Load {
	average := strings.Join(strings.Fields(field("/proc/loadavg", ""))[:3], " ")
	began, busy, stolen, own := time.Now(), ticks(1, 2, 3, 6, 7), ticks(8), ownCPU()
	return func() Load {
		seconds := time.Since(began).Seconds()
		const hz = 100 // USER_HZ, on every architecture that Go has
		return Load{
			Average: average,
			Others:  max(0, (ticks(1, 2, 3, 6, 7)-busy)/hz-(ownCPU()-own)) / seconds,
			Stolen:  (ticks(8) - stolen) / hz / seconds,
			Seconds: seconds,
		}
	}
}

// ticks sums fields of the first line of /proc/stat: 1 is user, 2 nice, 3 system, 6
// and 7 interrupts, 8 stolen.
func ticks(fields ...int) float64 {
	f := strings.Fields("cpu " + field("/proc/stat", "cpu "))
	sum := 0.0
	for _, i := range fields {
		if i < len(f) {
			n, _ := strconv.ParseFloat(f[i], 64)
			sum += n
		}
	}
	return sum
}

// ownCPU is the processor's time in seconds of this process and of those of its
// children that have ended.
func ownCPU() float64 {
	sum := 0.0
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		if syscall.Getrusage(who, &r) == nil {
			sum += time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
		}
	}
	return sum
}
