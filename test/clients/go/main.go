// Drives the API as the users of go-cfclient do: log in, push, bind a service, run a task, list with filters, delete.
//
// Arguments: API address, user, password, the folder of an app. Prints what was done, one line each; a panic is a failure.
package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/cloudfoundry/go-cfclient/v3/client"
	"github.com/cloudfoundry/go-cfclient/v3/config"
	"github.com/cloudfoundry/go-cfclient/v3/operation"
	"github.com/cloudfoundry/go-cfclient/v3/resource"
)

const name = "go-judged"

var ctx = context.Background()

// must gives the value, or ends the program with the error.
func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// listed panics unless the list has something.
func listed[O any, R any](what string, list func(context.Context, O) ([]*R, error), options O) []*R {
	found, err := list(ctx, options)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", what, err))
	}
	if len(found) == 0 {
		panic(what + " finds nothing")
	}
	return found
}

// times narrows a list by all that its options share, to what was made in this run.
func times(options *client.ListOptions) *client.ListOptions {
	options.CreatedAts.After(time.Now().Add(-time.Hour))
	options.UpdatedAts.Before(time.Now().Add(time.Hour))
	options.OrderBy = "-created_at"
	options.PerPage = 1
	return options
}

func is(values ...string) client.Filter { return client.Filter{Values: values} }

func zipped(folder string) *bytes.Buffer {
	var buffer bytes.Buffer
	archive := zip.NewWriter(&buffer)
	check(archive.AddFS(os.DirFS(folder)))
	check(archive.Close())
	return &buffer
}

func main() {
	api, user, password, folder := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	cf := must(client.New(must(config.New(api, config.UserPassword(user, password)))))
	done := func(guid string, err error) {
		check(err)
		if guid != "" {
			check(cf.Jobs.PollComplete(ctx, guid, nil))
		}
	}

	organization := must(cf.Organizations.Create(ctx, resource.NewOrganizationCreate(name)))
	space := must(cf.Spaces.Create(ctx, resource.NewSpaceCreate(name, organization.GUID)))
	credentials := json.RawMessage(`{"url":"x"}`)
	service := resource.NewServiceInstanceCreateUserProvided("db", space.GUID)
	service.Credentials = &credentials
	instance := must(cf.ServiceInstances.CreateUserProvided(ctx, service))
	manifest := &operation.AppManifest{Name: name, DefaultRoute: true}
	manifest.Memory = "64M"
	push := operation.NewAppPushOperation(cf, name, name)
	app := must(push.Push(ctx, manifest, zipped(folder)))
	_, binding, err := cf.ServiceCredentialBindings.Create(ctx, resource.NewServiceCredentialBindingCreateApp(instance.GUID, app.GUID))
	check(err)
	environment := must(cf.Applications.GetEnvironment(ctx, app.GUID))
	if !bytes.Contains(must(json.Marshal(environment.SystemEnvVars)), []byte("user-provided")) {
		panic("VCAP_SERVICES lacks the service")
	}
	fmt.Println("pushed and bound")

	task := must(cf.Tasks.Create(ctx, app.GUID, resource.NewTaskCreateWithCommand("echo done").WithName("once")))
	for deadline := time.Now().Add(time.Minute); task.State != "SUCCEEDED"; task = must(cf.Tasks.Get(ctx, task.GUID)) {
		if task.State == "FAILED" || time.Now().After(deadline) {
			panic("the task is " + task.State)
		}
		time.Sleep(100 * time.Millisecond)
	}
	fmt.Println("task")

	lists(cf, app, space, organization, instance)
	fmt.Println("lists")

	done(cf.ServiceCredentialBindings.Delete(ctx, binding.GUID))
	done(cf.ServiceInstances.Delete(ctx, instance.GUID))
	done(cf.Applications.Delete(ctx, app.GUID))
	done(cf.Spaces.Delete(ctx, space.GUID))
	done(cf.Organizations.Delete(ctx, organization.GUID))
	fmt.Println("deleted")
}

func lists(cf *client.Client, app *resource.App, space *resource.Space, organization *resource.Organization, instance *resource.ServiceInstance) {
	apps, spaces, organizations := is(app.GUID), is(space.GUID), is(organization.GUID)
	listed("apps", cf.Applications.ListAll, &client.AppListOptions{
		ListOptions: times(client.NewListOptions()), GUIDs: apps, Names: is(name), SpaceGUIDs: spaces,
		OrganizationGUIDs: organizations, Stacks: is("host"), LifecycleType: resource.LifecycleBuildpack,
	})
	_, withSpaces, withOrganizations, err := cf.Applications.ListIncludeSpacesAndOrganizationsAll(ctx, &client.AppListOptions{
		ListOptions: client.NewListOptions(), Names: is(name),
	})
	check(err)
	if len(withSpaces) != 1 || len(withOrganizations) != 1 {
		panic("apps do not bring their space and organization")
	}
	listed("processes", cf.Processes.ListAll, &client.ProcessListOptions{
		ListOptions: times(client.NewListOptions()), AppGUIDs: apps, Types: is("web"), SpaceGUIDs: spaces, OrganizationGUIDs: organizations,
	})
	listed("packages", cf.Packages.ListAll, &client.PackageListOptions{
		ListOptions: times(client.NewListOptions()), AppGUIDs: apps, States: is("READY"), Types: is("bits"), SpaceGUIDs: spaces, OrganizationGUIDs: organizations,
	})
	listed("builds", cf.Builds.ListAll, &client.BuildListOptions{ListOptions: times(client.NewListOptions()), AppGUIDs: apps, States: is("STAGED")})
	listed("droplets", cf.Droplets.ListAll, &client.DropletListOptions{
		ListOptions: times(client.NewListOptions()), AppGUIDs: apps, States: is("STAGED"), SpaceGUIDs: spaces, OrganizationGUIDs: organizations,
	})
	listed("routes", cf.Routes.ListAll, &client.RouteListOptions{
		ListOptions: times(client.NewListOptions()), AppGUIDs: apps, Hosts: is(name), SpaceGUIDs: spaces, OrganizationGUIDs: organizations,
	})
	listed("tasks", cf.Tasks.ListAll, &client.TaskListOptions{
		ListOptions: times(client.NewListOptions()), AppGUIDs: apps, Names: is("once"), States: is("SUCCEEDED"), SpaceGUIDs: spaces, OrganizationGUIDs: organizations,
	})
	listed("service instances", cf.ServiceInstances.ListAll, &client.ServiceInstanceListOptions{
		ListOptions: times(client.NewListOptions()), Names: is("db"), Type: "user-provided", SpaceGUIDs: spaces, OrganizationGUIDs: organizations,
	})
	listed("bindings", cf.ServiceCredentialBindings.ListAll, &client.ServiceCredentialBindingListOptions{
		ListOptions: times(client.NewListOptions()), AppGUIDs: apps, AppNames: is(name), ServiceInstanceGUIDs: is(instance.GUID),
		ServiceInstanceNames: is("db"), Type: is("app"),
	})
	listed("organizations", cf.Organizations.ListAll, &client.OrganizationListOptions{ListOptions: times(client.NewListOptions()), GUIDs: organizations, Names: is(name)})
	listed("spaces", cf.Spaces.ListAll, &client.SpaceListOptions{
		ListOptions: times(client.NewListOptions()), GUIDs: spaces, Names: is(name), OrganizationGUIDs: organizations,
	})
	listed("domains", cf.Domains.ListAll, &client.DomainListOptions{ListOptions: times(client.NewListOptions())})
	listed("quotas", cf.OrganizationQuotas.ListAll, &client.OrganizationQuotaListOptions{ListOptions: client.NewListOptions(), OrganizationGUIDs: organizations})
	listed("buildpacks", cf.Buildpacks.ListAll, &client.BuildpackListOptions{ListOptions: client.NewListOptions(), Names: is("nodejs_buildpack")})
	listed("stacks", cf.Stacks.ListAll, &client.StackListOptions{ListOptions: client.NewListOptions(), Names: is("host")})
	listed("users", cf.Users.ListAll, &client.UserListOptions{ListOptions: client.NewListOptions(), UserNames: is("admin")})
	listed("roles", cf.Roles.ListAll, &client.RoleListOptions{ListOptions: client.NewListOptions()})
	listed("events", cf.AuditEvents.ListAll, &client.AuditEventListOptions{
		ListOptions: client.NewListOptions(), Types: is("audit.app.create"), SpaceGUIDs: spaces, OrganizationGUIDs: organizations,
	})
	listed("usage", cf.AppUsageEvents.ListAll, &client.AppUsageListOptions{ListOptions: client.NewListOptions()})
	listed("flags", cf.FeatureFlags.ListAll, &client.FeatureFlagListOptions{ListOptions: client.NewListOptions()})
	listed("segments", cf.IsolationSegments.ListAll, &client.IsolationSegmentListOptions{ListOptions: client.NewListOptions(), Names: is("shared")})
}
