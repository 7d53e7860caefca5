package testserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// PrometheusServer is a Prometheus with its data in a folder of its own.
type PrometheusServer struct {
	// URL is where it answers, such as "http://127.0.0.1:9090".
	URL string

	process *process
}

// Prometheus starts Prometheus, which scripts/prometheus.sh has fetched, with a
// configuration. Names of files in that are looked up from the folder of its file.
func Prometheus(ctx context.Context, configFile string) (*PrometheusServer, error) {
	binary, err := built(ctx, "prometheus.sh")
	if err != nil {
		return nil, err
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mp3lathe-prometheus-")
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	s := &PrometheusServer{URL: "http://" + address}
	argv := []string{
		binary, "--config.file=" + configFile, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + address, "--enable-feature=exemplar-storage", "--log.level=warn",
	}
	if s.process, err = start(ctx, "prometheus", dir, argv, nil, s.ready); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *PrometheusServer) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/-/ready", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", s.URL, resp.Status)
	}
	return nil
}

// Stop ends the server and removes its files.
func (s *PrometheusServer) Stop() error {
	return errors.Join(s.process.stop(syscall.SIGTERM), os.RemoveAll(s.process.dir))
}

// Promtool is the program that checks rules and metrics.
func Promtool(ctx context.Context) (string, error) {
	binary, err := built(ctx, "prometheus.sh")
	return binary + "-promtool", err
}
