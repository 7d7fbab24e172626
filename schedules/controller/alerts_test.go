package controller

import (
	"os"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestAlertsAreAboutMetricsThatExist holds the shipped alerts against the names here.
func TestAlertsAreAboutMetricsThatExist(t *testing.T) {
	rules, err := os.ReadFile("../../deploy/alerts/refloat.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	described := make(chan *prometheus.Desc, 64)
	for _, c := range []prometheus.Collector{timesTotal, lateness, wanted, found, held, next, savedSeconds} {
		c.Describe(described)
	}
	close(described)
	for d := range described {
		named[regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())[1]] = true
	}
	used := regexp.MustCompile(`refloat_schedule_[a-z_]+`).FindAllString(string(rules), -1)
	if len(used) == 0 {
		t.Fatal("the alerts are about nothing")
	}
	for _, name := range used {
		if !named[name] {
			t.Errorf("there is no metric %s", name)
		}
	}
}
