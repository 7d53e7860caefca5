package transcode

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "measure-memory" {
		measureMemory(os.Args[2:])
		return
	}
	goleak.VerifyTestMain(m)
}
