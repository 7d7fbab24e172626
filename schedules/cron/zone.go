package cron

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // so that zones are known where the system has no files of them
)

// maxZone of a zone's name, in bytes.
const maxZone = 64

// LoadZone finds an IANA time zone. $ZONEINFO may name a directory with newer ones.
func LoadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" || len(name) > maxZone || strings.HasPrefix(name, "/") || strings.Contains(name, "..") || strings.ContainsAny(name, "\\\x00") {
		return nil, fmt.Errorf("%.70q is not the name of an IANA time zone such as Europe/Rome", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not the name of an IANA time zone such as Europe/Rome", name)
	}
	return zone, nil
}
