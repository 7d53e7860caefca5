package main

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

// machine is where the figures come from.
type machine struct {
	Processor  string `json:"processor"`
	Processors int    `json:"processors"`
	Memory     int64  `json:"memory_bytes"`
	System     string `json:"system"`
	Go         string `json:"go"`
	Ours       string `json:"mp3lathe"`
	FFmpeg     string `json:"ffmpeg"`
	LAME       string `json:"lame"`
}

func describeMachine(program string) machine {
	return machine{
		Processor:  field("/proc/cpuinfo", "model name\t: "),
		Processors: runtime.NumCPU(),
		Memory:     kib(field("/proc/meminfo", "MemTotal:")),
		System:     strings.Trim(field("/etc/os-release", "PRETTY_NAME="), `"`) + ", Linux " + firstLine("uname", "-r"),
		Go:         runtime.Version(),
		Ours:       firstLine(program, "version"),
		FFmpeg:     firstLine("ffmpeg", "-version"),
		LAME:       firstLine("lame", "--version"),
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

func firstLine(command ...string) string {
	out, err := exec.Command(command[0], command[1:]...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	line, _, _ = strings.Cut(line, " Copyright")
	return strings.TrimSpace(line)
}

// load is what others did on the machine while something was measured.
type load struct {
	Average string  `json:"load_average"`      // at the beginning, over 1, 5 and 15 minutes
	Others  float64 `json:"others_processors"` // processors that other processes kept busy, on average
	Stolen  float64 `json:"stolen_processors"` // processors that other machines kept from this one, on average
	Seconds float64 `json:"seconds"`           // how long it took
}

// quiet reports whether the figures can be trusted.
func (l load) quiet() bool { return l.Others < 0.05 && l.Stolen < 0.02 }

func (l load) String() string {
	return fmt.Sprintf("load average at the beginning %s; meanwhile, other processes kept %.2f processors busy, and %.2f were stolen by other machines",
		l.Average, l.Others, l.Stolen)
}

// watch looks at the machine until the function it returns is called.
func watch() func() load {
	average := strings.Join(strings.Fields(field("/proc/loadavg", ""))[:3], " ")
	began, busy, stolen, own := time.Now(), ticks(1, 2, 3, 6, 7), ticks(8), ownCPU()
	return func() load {
		seconds := time.Since(began).Seconds()
		const hz = 100 // USER_HZ, on every architecture that Go has
		return load{
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
