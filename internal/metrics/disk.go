package metrics

import "github.com/prometheus/client_golang/prometheus"

// disk tells how full a file system is.
type disk struct {
	path       string
	size, free *prometheus.Desc
}

// NewDisk returns a collector of the size and the free bytes of the file system that a
// folder lies on. place is what the folder is for: one of a few words.
func NewDisk(place, folder string) prometheus.Collector {
	labels := prometheus.Labels{"place": place}
	return disk{
		folder,
		prometheus.NewDesc("mp3lathe_disk_size_bytes", "Size of the file system that a folder of the service lies on.", nil, labels),
		prometheus.NewDesc("mp3lathe_disk_free_bytes", "Bytes that the service may still write there.", nil, labels),
	}
}

// Describe implements [prometheus.Collector].
func (d disk) Describe(ch chan<- *prometheus.Desc) {
	ch <- d.size
	ch <- d.free
}

// Collect implements [prometheus.Collector]. Of a folder that is not there it tells
// nothing.
func (d disk) Collect(ch chan<- prometheus.Metric) {
	size, free, err := usage(d.path)
	if err != nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(d.size, prometheus.GaugeValue, float64(size))
	ch <- prometheus.MustNewConstMetric(d.free, prometheus.GaugeValue, float64(free))
}
