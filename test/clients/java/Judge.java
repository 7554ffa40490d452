// Drives the API as the users of cloudfoundry-client-reactor do: log in, push, bind a service, run a task, list with filters, delete.
//
// Arguments: API address, user, password, the folder of an app. Prints what was done, one line each; an exception is a failure.
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.cloudfoundry.client.CloudFoundryClient;
import org.cloudfoundry.client.v3.BuildpackData;
import org.cloudfoundry.client.v3.Lifecycle;
import org.cloudfoundry.client.v3.LifecycleType;
import org.cloudfoundry.client.v3.Relationship;
import org.cloudfoundry.client.v3.ToOneRelationship;
import org.cloudfoundry.client.v3.applications.*;
import org.cloudfoundry.client.v3.auditevents.ListAuditEventsRequest;
import org.cloudfoundry.client.v3.builds.*;
import org.cloudfoundry.client.v3.domains.ListDomainsRequest;
import org.cloudfoundry.client.v3.droplets.ListDropletsRequest;
import org.cloudfoundry.client.v3.organizations.*;
import org.cloudfoundry.client.v3.packages.*;
import org.cloudfoundry.client.v3.processes.ListProcessesRequest;
import org.cloudfoundry.client.v3.routes.ListRoutesRequest;
import org.cloudfoundry.client.v3.securitygroups.ListSecurityGroupsRequest;
import org.cloudfoundry.client.v3.servicebindings.*;
import org.cloudfoundry.client.v3.serviceinstances.*;
import org.cloudfoundry.client.v3.spaces.*;
import org.cloudfoundry.client.v3.tasks.*;
import org.cloudfoundry.reactor.DefaultConnectionContext;
import org.cloudfoundry.reactor.client.ReactorCloudFoundryClient;
import org.cloudfoundry.reactor.tokenprovider.PasswordGrantTokenProvider;
import org.cloudfoundry.util.JobUtils;

public class Judge {
    private static final String NAME = "java-judged";
    private static final Duration LIMIT = Duration.ofSeconds(120);
    private static CloudFoundryClient client;

    public static void main(String[] arguments) throws Exception {
        URI api = URI.create(arguments[0]);
        DefaultConnectionContext context = DefaultConnectionContext.builder()
                .apiHost(api.getHost()).port(api.getPort()).secure(false).build();
        client = ReactorCloudFoundryClient.builder()
                .connectionContext(context)
                .tokenProvider(PasswordGrantTokenProvider.builder().username(arguments[1]).password(arguments[2]).build())
                .build();

        String organization = client.organizationsV3()
                .create(CreateOrganizationRequest.builder().name(NAME).build()).block(LIMIT).getId();
        String space = client.spacesV3().create(CreateSpaceRequest.builder().name(NAME)
                .relationships(SpaceRelationships.builder().organization(to(organization)).build()).build()).block(LIMIT).getId();
        String app = push(space, Path.of(arguments[3]));
        String instance = client.serviceInstancesV3().create(CreateServiceInstanceRequest.builder()
                .type(ServiceInstanceType.USER_PROVIDED).name("db").credentials(Map.of("url", "x"))
                .relationships(ServiceInstanceRelationships.builder().space(to(space)).build()).build())
                .block(LIMIT).getServiceInstance().orElseThrow().getId();
        String binding = client.serviceBindingsV3().create(CreateServiceBindingRequest.builder()
                .type(ServiceBindingType.APPLICATION)
                .relationships(ServiceBindingRelationships.builder().application(to(app)).serviceInstance(to(instance)).build())
                .build()).block(LIMIT).getServiceBinding().orElseThrow().getId();
        client.applicationsV3().start(StartApplicationRequest.builder().applicationId(app).build()).block(LIMIT);
        System.out.println("pushed and bound");

        String task = client.tasks().create(CreateTaskRequest.builder().applicationId(app).command("echo done").name("once").build())
                .block(LIMIT).getId();
        until(() -> client.tasks().get(GetTaskRequest.builder().taskId(task).build()).block(LIMIT).getState() == TaskState.SUCCEEDED);
        System.out.println("task");

        lists(app, space, organization, instance);
        System.out.println("lists");

        client.serviceBindingsV3().delete(DeleteServiceBindingRequest.builder().serviceBindingId(binding).build()).block(LIMIT);
        client.serviceInstancesV3().delete(DeleteServiceInstanceRequest.builder().serviceInstanceId(instance).build()).block(LIMIT);
        done(client.applicationsV3().delete(DeleteApplicationRequest.builder().applicationId(app).build()).block(LIMIT));
        done(client.spacesV3().delete(DeleteSpaceRequest.builder().spaceId(space).build()).block(LIMIT));
        done(client.organizationsV3().delete(DeleteOrganizationRequest.builder().organizationId(organization).build()).block(LIMIT));
        System.out.println("deleted");
        context.dispose();
    }

    private static String push(String space, Path bits) {
        String app = client.applicationsV3().create(CreateApplicationRequest.builder().name(NAME)
                .lifecycle(Lifecycle.builder().type(LifecycleType.BUILDPACK).data(BuildpackData.builder().build()).build())
                .relationships(ApplicationRelationships.builder().space(to(space)).build()).build()).block(LIMIT).getId();
        String bitsPackage = client.packages().create(CreatePackageRequest.builder().type(PackageType.BITS)
                .relationships(PackageRelationships.builder().application(to(app)).build()).build()).block(LIMIT).getId();
        client.packages().upload(UploadPackageRequest.builder().packageId(bitsPackage).bits(bits).build()).block(LIMIT);
        until(() -> client.packages().get(GetPackageRequest.builder().packageId(bitsPackage).build()).block(LIMIT).getState() == PackageState.READY);
        String build = client.builds().create(CreateBuildRequest.builder().getPackage(Relationship.builder().id(bitsPackage).build()).build())
                .block(LIMIT).getId();
        until(() -> client.builds().get(GetBuildRequest.builder().buildId(build).build()).block(LIMIT).getState() == BuildState.STAGED);
        String droplet = client.builds().get(GetBuildRequest.builder().buildId(build).build()).block(LIMIT).getDroplet().getId();
        client.applicationsV3().setCurrentDroplet(SetApplicationCurrentDropletRequest.builder().applicationId(app)
                .data(Relationship.builder().id(droplet).build()).build()).block(LIMIT);
        return app;
    }

    private static void lists(String app, String space, String organization, String instance) {
        found("apps", client.applicationsV3().list(ListApplicationsRequest.builder().name(NAME).spaceId(space)
                .organizationId(organization).applicationId(app).page(1).perPage(1).build()).block(LIMIT).getResources());
        found("processes", client.processes().list(ListProcessesRequest.builder().applicationId(app).spaceId(space)
                .organizationId(organization).type("web").build()).block(LIMIT).getResources());
        found("packages", client.packages().list(ListPackagesRequest.builder().applicationId(app).spaceId(space)
                .organizationId(organization).state(PackageState.READY).type(PackageType.BITS).build()).block(LIMIT).getResources());
        found("builds", client.builds().list(ListBuildsRequest.builder().applicationId(app).state("STAGED").build())
                .block(LIMIT).getResources());
        found("droplets", client.droplets().list(ListDropletsRequest.builder().applicationId(app).spaceId(space)
                .organizationId(organization).build()).block(LIMIT).getResources());
        found("tasks", client.tasks().list(ListTasksRequest.builder().applicationId(app).name("once").spaceId(space)
                .organizationId(organization).build()).block(LIMIT).getResources());
        found("service instances", client.serviceInstancesV3().list(ListServiceInstancesRequest.builder().serviceInstanceName("db")
                .spaceId(space).build()).block(LIMIT).getResources());
        found("bindings", client.serviceBindingsV3().list(ListServiceBindingsRequest.builder().applicationId(app)
                .serviceInstanceId(instance).build()).block(LIMIT).getResources());
        found("organizations", client.organizationsV3().list(ListOrganizationsRequest.builder().name(NAME).build()).block(LIMIT).getResources());
        found("spaces", client.spacesV3().list(ListSpacesRequest.builder().name(NAME).organizationId(organization).build())
                .block(LIMIT).getResources());
        found("domains", client.domainsV3().list(ListDomainsRequest.builder().build()).block(LIMIT).getResources());
        found("events", client.auditEventsV3().list(ListAuditEventsRequest.builder().type("audit.app.create").spaceId(space).build())
                .block(LIMIT).getResources());
        client.routesV3().list(ListRoutesRequest.builder().spaceId(space).build()).block(LIMIT);
        client.securityGroupsV3().list(ListSecurityGroupsRequest.builder().build()).block(LIMIT);
    }

    private static ToOneRelationship to(String guid) {
        return ToOneRelationship.builder().data(Relationship.builder().id(guid).build()).build();
    }

    private static void found(String what, List<?> resources) {
        if (resources.isEmpty()) throw new IllegalStateException(what + " finds nothing");
    }

    private static void done(String jobId) {
        JobUtils.waitForCompletion(client, LIMIT, jobId).block(LIMIT);
    }

    private static void until(Supplier<Boolean> isSo) {
        long end = System.nanoTime() + LIMIT.toNanos();
        while (!isSo.get()) {
            if (System.nanoTime() > end) throw new IllegalStateException("waited in vain");
            try {
                Thread.sleep(100);
            } catch (InterruptedException error) {
                throw new IllegalStateException(error);
            }
        }
    }
}
