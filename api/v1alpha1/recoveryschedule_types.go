package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RecoverySchedule is a timetable that tears the clusters of plans down and brings them
// back.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rsched,categories=dr
// +kubebuilder:printcolumn:name="Zone",type=string,JSONPath=`.spec.timeZone`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`
// +kubebuilder:printcolumn:name="Plans",type=integer,JSONPath=`.status.planCount`
// +kubebuilder:printcolumn:name="Next teardown",type=string,JSONPath=`.status.nextTeardown`
// +kubebuilder:printcolumn:name="Next rebuild",type=string,JSONPath=`.status.nextRebuild`
// +kubebuilder:printcolumn:name="Next drill",type=string,JSONPath=`.status.nextDrill`,priority=1
// +kubebuilder:printcolumn:name="Last",type=string,JSONPath=`.status.last`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RecoverySchedule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec RecoveryScheduleSpec `json:"spec"`
	// +optional
	Status RecoveryScheduleStatus `json:"status,omitempty"`
}

// RecoveryScheduleList is a list of schedules.
//
// +kubebuilder:object:root=true
type RecoveryScheduleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RecoverySchedule `json:"items"`
}

// RecoveryScheduleSpec is the timetable.
//
// +kubebuilder:validation:XValidation:rule="has(self.planRef) != has(self.planSelector)",message="name the plans by planRef or by planSelector, not by both"
// +kubebuilder:validation:XValidation:rule="has(self.teardown) || has(self.rebuild) || has(self.drill) || has(self.once)",message="a schedule without teardown, rebuild, drill and once does nothing"
// +kubebuilder:validation:XValidation:rule="!has(self.teardown) || !has(self.rebuild) || !has(self.rebuild.cron) || self.teardown.cron != self.rebuild.cron",message="teardown and rebuild are at the same minutes"
type RecoveryScheduleSpec struct {
	// PlanRef names one plan in the schedule's namespace.
	//
	// +optional
	PlanRef *PlanReference `json:"planRef,omitempty"`
	// PlanSelector selects plans in the schedule's namespace by their labels, 1,000 at most.
	//
	// +optional
	PlanSelector *metav1.LabelSelector `json:"planSelector,omitempty"`
	// TimeZone is the IANA name of the zone in which the times are meant.
	//
	// +optional
	// +kubebuilder:default=UTC
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$`
	// +kubebuilder:validation:XValidation:rule="self != 'Local' && timestamp('2020-01-01T00:00:00Z').getHours(self) >= 0",message="is not the name of an IANA time zone such as Europe/Rome"
	TimeZone string `json:"timeZone,omitempty"`
	// Teardown says when the clusters go.
	//
	// +optional
	Teardown *TeardownTimes `json:"teardown,omitempty"`
	// Rebuild says when they come back.
	//
	// +optional
	Rebuild *RebuildTimes `json:"rebuild,omitempty"`
	// Drill says when the plans are drilled, under throw-away names.
	//
	// +optional
	Drill *DrillTimes `json:"drill,omitempty"`
	// Once lists runs at an absolute time.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Once []OneOff `json:"once,omitempty"`
	// Calendar names days on which one or both directions do not run.
	//
	// +optional
	Calendar *ExceptionCalendar `json:"calendar,omitempty"`
	// Blackouts are times in which nothing, or one direction, runs.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Blackouts []Blackout `json:"blackouts,omitempty"`
	// Mode says what holds between two times of the timetable: with Edges a change made by
	// hand stands until the next one, with Level the timetable is restored.
	//
	// +optional
	// +kubebuilder:default=Edges
	Mode ScheduleMode `json:"mode,omitempty"`
	// Suspend the schedule. What was due meanwhile is not made up for later.
	//
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// Concurrency is how many of the schedule's runs work at a time; 0 for no limit. The
	// others wait in a queue.
	//
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	Concurrency *int32 `json:"concurrency,omitempty"`
	// Jitter spreads the starts of several plans over this time, by their names.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('6h')",message="must be between 0s and 6h"
	Jitter *metav1.Duration `json:"jitter,omitempty"`
	// Priority of the schedule's runs in the queue: higher ones go first.
	//
	// +optional
	// +kubebuilder:validation:Minimum=-1000
	// +kubebuilder:validation:Maximum=1000
	Priority int32 `json:"priority,omitempty"`
}

// ScheduleMode says what holds between two times of a timetable.
//
// +kubebuilder:validation:Enum=Edges;Level
type ScheduleMode string

const (
	// ModeEdges acts at the times of the timetable and leaves alone what people do between.
	ModeEdges ScheduleMode = "Edges"
	// ModeLevel keeps each cluster up or down as the last time of the timetable says.
	ModeLevel ScheduleMode = "Level"
)

// CronExpression is five fields: minute, hour, day of the month, month, weekday.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:rule="!self.contains('TZ=')",message="names a time zone; put it into spec.timeZone"
// +kubebuilder:validation:XValidation:rule="!self.startsWith('@every')",message="@every counts from nowhere; give five fields: minute hour day-of-month month weekday"
// +kubebuilder:validation:XValidation:rule="self.startsWith('@') || self.matches('^ *[^ ]+( +[^ ]+){4} *$')",message="want five fields: minute hour day-of-month month weekday"
// +kubebuilder:validation:XValidation:rule="self.contains('TZ=') || self.startsWith('@every') || !self.startsWith('@') && !self.matches('^ *[^ ]+( +[^ ]+){4} *$') || self.matches('^ *(?:@(?:hourly|daily|midnight|weekly|monthly|yearly|annually)|(?:[*?]|(?:[0-5]?[0-9])(?:-(?:[0-5]?[0-9]))?)(?:/(?:0?[1-9]|[1-5][0-9]|60))?(?:,(?:[*?]|(?:[0-5]?[0-9])(?:-(?:[0-5]?[0-9]))?)(?:/(?:0?[1-9]|[1-5][0-9]|60))?)* +(?:[*?]|(?:[01]?[0-9]|2[0-3])(?:-(?:[01]?[0-9]|2[0-3]))?)(?:/(?:0?[1-9]|1[0-9]|2[0-4]))?(?:,(?:[*?]|(?:[01]?[0-9]|2[0-3])(?:-(?:[01]?[0-9]|2[0-3]))?)(?:/(?:0?[1-9]|1[0-9]|2[0-4]))?)* +(?:[*?]|(?:0?[1-9]|[12][0-9]|3[01])(?:-(?:0?[1-9]|[12][0-9]|3[01]))?)(?:/(?:0?[1-9]|[12][0-9]|3[01]))?(?:,(?:[*?]|(?:0?[1-9]|[12][0-9]|3[01])(?:-(?:0?[1-9]|[12][0-9]|3[01]))?)(?:/(?:0?[1-9]|[12][0-9]|3[01]))?)* +(?:[*?]|(?:0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))(?:-(?:0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)))?)(?:/(?:0?[1-9]|1[0-2]))?(?:,(?:[*?]|(?:0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))(?:-(?:0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)))?)(?:/(?:0?[1-9]|1[0-2]))?)* +(?:[*?]|(?:0?[0-7]|(?i:sun|mon|tue|wed|thu|fri|sat))(?:-(?:0?[0-7]|(?i:sun|mon|tue|wed|thu|fri|sat)))?)(?:/(?:0?[1-7]))?(?:,(?:[*?]|(?:0?[0-7]|(?i:sun|mon|tue|wed|thu|fri|sat))(?:-(?:0?[0-7]|(?i:sun|mon|tue|wed|thu|fri|sat)))?)(?:/(?:0?[1-7]))?)*) *$')",message="has a field out of its range: minute 0-59, hour 0-23, day 1-31, month 1-12 or jan-dec, weekday 0-7 or sun-sat; or is none of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually"
// +kubebuilder:validation:XValidation:rule="!self.matches('^ *[^ ]+ +[^ ]+ +(30|31|30,31|30-31) +0?2 +[*?] *$') && !self.matches('^ *[^ ]+ +[^ ]+ +31 +0?(2|4|6|9|11)(,0?(2|4|6|9|11))* +[*?] *$')",message="never fires: the month has no such day"
type CronExpression string

// MissedPolicy says what becomes of a time that passed while nobody could act on it.
type MissedPolicy struct {
	// Deadline is how late it may still be acted on: a duration, or UntilNextTeardown or
	// UntilNextRebuild for as long as the opposite is not due. Of several missed times only
	// the latest counts.
	//
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self in ['UntilNextTeardown', 'UntilNextRebuild'] || self.matches('^([0-9]+(\\\\.[0-9]+)?(ms|s|m|h))+$')",message="must be a duration such as 2h, UntilNextTeardown or UntilNextRebuild"
	Deadline string `json:"deadline"`
}

// TeardownTimes says when clusters are torn down.
type TeardownTimes struct {
	Cron CronExpression `json:"cron"`
	// Missed: one hour by default.
	//
	// +optional
	// +kubebuilder:default={deadline: "1h"}
	// +kubebuilder:validation:XValidation:rule="self.deadline != 'UntilNextTeardown'",message="a teardown can be late until the next rebuild, not until the next teardown"
	Missed *MissedPolicy `json:"missed,omitempty"`
	// Notice is given before a teardown.
	//
	// +optional
	// +kubebuilder:default={}
	Notice TeardownNotice `json:"notice,omitempty"`
	// InUse postpones the teardown of a cluster that somebody works on.
	//
	// +optional
	InUse *InUsePolicy `json:"inUse,omitempty"`
	// MaxSnooze bounds for how long people may put a teardown off.
	//
	// +optional
	// +kubebuilder:default="12h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('168h')",message="must be between 0s and 168h"
	MaxSnooze *metav1.Duration `json:"maxSnooze,omitempty"`
}

// TeardownNotice is an Event on the plan, and a call of a webhook, before a teardown.
type TeardownNotice struct {
	// Before the teardown; 0s for no notice.
	//
	// +optional
	// +kubebuilder:default="15m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="must be between 0s and 24h"
	Before *metav1.Duration `json:"before,omitempty"`
	// Webhook is told too.
	//
	// +optional
	Webhook *NoticeWebhook `json:"webhook,omitempty"`
}

// NoticeWebhook is an address that is sent a JSON document.
type NoticeWebhook struct {
	// URL that is sent a POST.
	//
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^ ]+$`
	URL string `json:"url"`
	// SecretRef names a Secret whose key "key" signs the body (HMAC-SHA256, in the header
	// Refloat-Signature), and whose key "token", if any, is sent as a bearer token.
	//
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`
}

// InUsePolicy looks into the cluster before it is torn down. At least one check is named.
//
// +kubebuilder:validation:XValidation:rule="has(self.jobs) && self.jobs || has(self.leases) && self.leases || has(self.writesWithin)",message="name at least one check: jobs, leases or writesWithin"
type InUsePolicy struct {
	// Jobs that run count as use.
	//
	// +optional
	Jobs bool `json:"jobs,omitempty"`
	// Leases with the label refloat.dev/in-use that are not expired count as use.
	//
	// +optional
	Leases bool `json:"leases,omitempty"`
	// WritesWithin counts objects that somebody wrote by hand in this time as use.
	//
	// +optional
	WritesWithin *metav1.Duration `json:"writesWithin,omitempty"`
	// Postpone is when to look again.
	//
	// +optional
	// +kubebuilder:default="15m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="must be between 1m and 24h"
	Postpone *metav1.Duration `json:"postpone,omitempty"`
	// AtMost bounds the whole postponement; then the cluster is torn down all the same.
	//
	// +optional
	// +kubebuilder:default="3h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('168h')",message="must be between 1m and 168h"
	AtMost *metav1.Duration `json:"atMost,omitempty"`
}

// RebuildTimes says when clusters are rebuilt. In a schedule with a teardown too, a rebuild
// brings back what is down and leaves alone what is up.
//
// +kubebuilder:validation:XValidation:rule="has(self.cron) != has(self.readyBy)",message="give cron, when to start, or readyBy, when to be ready"
type RebuildTimes struct {
	// Cron says when to start.
	//
	// +optional
	Cron CronExpression `json:"cron,omitempty"`
	// ReadyBy says when the cluster has to be verified. The start is earlier by what nine of
	// ten rebuilds and drills of the plan took, and by Margin.
	//
	// +optional
	ReadyBy CronExpression `json:"readyBy,omitempty"`
	// Margin of ReadyBy.
	//
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('12h')",message="must be between 0s and 12h"
	Margin *metav1.Duration `json:"margin,omitempty"`
	// Expected is how long a rebuild takes as long as none of the plan was measured. Without
	// it the plan's objective counts, and without one 30 minutes.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('24h')",message="must be longer than 0s and at most 24h"
	Expected *metav1.Duration `json:"expected,omitempty"`
	// Missed: until the next teardown by default.
	//
	// +optional
	// +kubebuilder:default={deadline: UntilNextTeardown}
	// +kubebuilder:validation:XValidation:rule="self.deadline != 'UntilNextRebuild'",message="a rebuild can be late until the next teardown, not until the next rebuild"
	Missed *MissedPolicy `json:"missed,omitempty"`
}

// DrillTimes says when plans are drilled. No hold stops a drill, since it touches nothing
// that exists; what is more urgent goes first, and ends a drill that is in its way.
type DrillTimes struct {
	Cron CronExpression `json:"cron"`
	// Missed: twelve hours by default.
	//
	// +optional
	// +kubebuilder:default={deadline: "12h"}
	// +kubebuilder:validation:XValidation:rule="!self.deadline.startsWith('Until')",message="of a drill must be a duration such as 12h"
	Missed *MissedPolicy `json:"missed,omitempty"`
}

// OneOff is one run at an absolute time.
type OneOff struct {
	// At is when to start, or, for a rebuild of a schedule with readyBy, when to be ready.
	At        metav1.Time `json:"at"`
	Operation Direction   `json:"operation"`
}

// Direction is an operation that a timetable has.
//
// +kubebuilder:validation:Enum=Rebuild;Teardown;Drill
type Direction string

// The directions of a timetable.
const (
	DirectionTeardown Direction = Direction(OperationTeardown)
	DirectionRebuild  Direction = Direction(OperationRebuild)
	DirectionDrill    Direction = Direction(OperationDrill)
)

// ExceptionCalendar is an iCalendar (RFC 5545). A time that falls into one of its events
// does not run.
//
// +kubebuilder:validation:XValidation:rule="has(self.exceptConfigMapRef) != has(self.url)",message="give exceptConfigMapRef or url"
type ExceptionCalendar struct {
	// ExceptConfigMapRef names a ConfigMap in the schedule's namespace, and its key.
	//
	// +optional
	ExceptConfigMapRef *ConfigMapKeyReference `json:"exceptConfigMapRef,omitempty"`
	// URL of a calendar, fetched every Refresh. The last good copy is kept, and counts when
	// it cannot be fetched.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^ ]+$`
	URL string `json:"url,omitempty"`
	// Refresh of the URL.
	//
	// +optional
	// +kubebuilder:default="6h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('5m') && duration(self) <= duration('168h')",message="must be between 5m and 168h"
	Refresh *metav1.Duration `json:"refresh,omitempty"`
	// Skips says what does not run in an event of the calendar.
	//
	// +optional
	// +listType=set
	// +kubebuilder:default={Rebuild}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Skips []Direction `json:"skips,omitempty"`
}

// ConfigMapKeyReference names a key of a ConfigMap in the same namespace.
type ConfigMapKeyReference struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// Blackout is a time in which the schedule does not start runs.
//
// +kubebuilder:validation:XValidation:rule="timestamp(self.until) > timestamp(self.from)",message="until must be after from"
type Blackout struct {
	From  metav1.Time `json:"from"`
	Until metav1.Time `json:"until"`
	// Reason is shown to people who wonder.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason"`
	// Skips says what does not run; everything without it.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	Skips []Direction `json:"skips,omitempty"`
}
