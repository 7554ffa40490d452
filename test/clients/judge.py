"""Drives the API as the users of cloudfoundry-client (PyPI) do: log in, push, bind a service, run a task, list with filters, delete.

Arguments: API address, user, password, the folder of an app. Prints what was done, one line each; an exception is a failure.
"""
import os
import shutil
import sys
import tempfile
import time

from cloudfoundry_client.client import CloudFoundryClient
from cloudfoundry_client.common_objects import JsonObject
from cloudfoundry_client.v3.entities import ToManyRelationship
from cloudfoundry_client.v3.packages import PackageType

api, user, password, folder = sys.argv[1:5]
bits = shutil.make_archive(os.path.join(tempfile.mkdtemp(), 'bits'), 'zip', folder)
client = CloudFoundryClient(api)
client.init_with_user_credentials(user, password)
v3 = client.v3


def post(path, **json):
    answer = client.post(f'{api}{path}', json=json or None)
    return answer.json(object_pairs_hook=JsonObject) if answer.content else None


def patch(path, **json):
    return client.patch(f'{api}{path}', json=json).json(object_pairs_hook=JsonObject)


def to(guid):
    return {'data': {'guid': guid}}


def wait(path, wanted, failed):
    """Until the state of what is at `path` is one of `wanted`; its own words when it failed."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = client.get(f'{api}{path}').json()
        if found['state'] in wanted:
            return found
        assert found['state'] not in failed, found
        time.sleep(0.1)
    raise AssertionError(f'{path} is {found["state"]}')


def job(location):
    """`remove` answers with the job's guid."""
    if location is not None:
        wait(f'/v3/jobs/{location.rstrip("/").split("/")[-1]}', ['COMPLETE'], ['FAILED'])


def says(text):
    print(text, flush=True)


organization = v3.organizations.create('judged', suspended=False)
space = v3.spaces.create('judged', organization['guid'])
domain = next(iter(v3.domains.list()))
says('organization and space')

app = v3.apps._create(dict(name='judged', relationships=dict(space=to(space['guid']))))
package = v3.packages.create(app['guid'], PackageType.BITS)
v3.packages._upload_bits(package['guid'], bits)
wait(f'/v3/packages/{package["guid"]}', ['READY'], ['FAILED'])
build = post('/v3/builds', package=dict(guid=package['guid']))
droplet = wait(f'/v3/builds/{build["guid"]}', ['STAGED'], ['FAILED'])['droplet']['guid']
patch(f'/v3/apps/{app["guid"]}/relationships/current_droplet', data=dict(guid=droplet))
route = v3.routes.create(space['guid'], domain['guid'], host='judged')
post(f'/v3/routes/{route["guid"]}/destinations', destinations=[dict(app=dict(guid=app['guid']))])
instance = v3.service_instances._create(dict(
    type='user-provided', name='db', credentials={'url': 'x'}, relationships=dict(space=to(space['guid']))))
binding = v3.service_credential_bindings.create('main', 'app', instance['guid'], app['guid'], None, None, None)
post(f'/v3/apps/{app["guid"]}/actions/start')
deadline = time.monotonic() + 60
while [one['state'] for one in client.get(f'{api}/v3/processes/{app["guid"]}/stats').json()['resources']] != ['RUNNING']:
    assert time.monotonic() < deadline, 'the app does not run'
    time.sleep(0.1)
says('pushed, bound and running')

env = v3.apps.get_env(app['guid'])
assert env['system_env_json']['VCAP_SERVICES']['user-provided'][0]['credentials'] == {'url': 'x'}, env
assert 'db' in v3.apps.get_manifest(app['guid'])
assert [r['guid'] for r in v3.apps.list_routes(app['guid'])] == [route['guid']]
assert [d['guid'] for d in v3.apps.list_droplets(app['guid'])] == [droplet]
assert v3.organizations.get_default_domain(organization['guid'])['guid'] == domain['guid']
assert v3.organizations.get_usage_summary(organization['guid'])['usage_summary']['started_instances'] == 1
says('environment, manifest, routes and usage')

task = v3.tasks.create(app['guid'], 'echo done', name='once')
wait(f'/v3/tasks/{task["guid"]}', ['SUCCEEDED'], ['FAILED'])
says('task')

TIMES = {'created_ats[gt]': '2020-01-01T00:00:00Z', 'updated_ats[lt]': '2090-01-01T00:00:00Z'}
HERE = dict(space_guids=[space['guid']], organization_guids=[organization['guid']])
# What each list can be asked for, so that it finds what was made here.
LISTS = {
    'apps': dict(names=['judged'], stacks=['host'], lifecycle_type='buildpack', include='space.organization', order_by='-name', **HERE),
    'audit_events': dict(types=['audit.app.create'], target_guids=[app['guid']], order_by='-created_at', **HERE),
    'buildpacks': dict(names=['nodejs_buildpack'], order_by='position'),
    'domains': dict(names=[domain['name']], order_by='-created_at'),
    'droplets': dict(app_guids=[app['guid']], states=['STAGED'], **HERE),
    'feature_flags': {},
    'organizations': dict(names=['judged'], order_by='name'),
    'organization_quotas': dict(names=['default'], order_by='name'),
    'packages': dict(app_guids=[app['guid']], states=['READY'], types=['bits'], **HERE),
    'processes': dict(app_guids=[app['guid']], types=['web'], embed='process_instances', **HERE),
    'roles': dict(types=['organization_user', 'organization_manager'], include='user,organization'),
    'routes': dict(hosts=['judged'], paths=[''], domain_guids=[domain['guid']], app_guids=[app['guid']], include='domain', **HERE),
    'service_credential_bindings': dict(
        names=['main'], app_guids=[app['guid']], app_names=['judged'], service_instance_guids=[instance['guid']],
        service_instance_names=['db'], type='app', include='app,service_instance', order_by='name'),
    'service_instances': dict(
        names=['db'], type='user-provided', fields={'space': ['guid', 'name'], 'space.organization': ['name']}, order_by='name', **HERE),
    'spaces': dict(names=['judged'], organization_guids=[organization['guid']], include='organization', order_by='name'),
    'stacks': dict(names=['host'], order_by='name'),
    'tasks': dict(names=['once'], app_guids=[app['guid']], states=['SUCCEEDED'], **HERE),
    'users': dict(usernames=['admin'], origins=['uaa']),
}
WITHOUT_TIMES = ['feature_flags', 'stacks']
for name, filters in LISTS.items():
    manager = getattr(v3, name)
    times = {} if name in WITHOUT_TIMES else TIMES
    if name == 'audit_events':
        times = {'created_ats[gt]': TIMES['created_ats[gt]']}
    found = list(manager.list(per_page=1, **filters, **times))
    assert name == 'roles' or len(found) > 0, f'{name} finds nothing with {filters}'
    assert manager.len(**filters) == len(found), f'{name}: pages have other things than the first says'
for name in ['isolation_segments', 'security_groups', 'service_brokers', 'service_offerings', 'service_plans']:
    list(getattr(v3, name).list(names=['none'], order_by='created_at'))
try:
    list(v3.apps.list(colour='red'))
    raise SystemExit('a filter that is none was taken')
except Exception as refused:
    assert 'Unknown query parameter' in str(refused), refused
says(f'{len(LISTS) + 5} lists')

labelled = patch(f'/v3/apps/{app["guid"]}', metadata=dict(labels={'env': 'prod'}))
assert labelled['metadata']['labels'] == {'env': 'prod'}
assert [a['guid'] for a in v3.apps.list(label_selector='env=prod')] == [app['guid']]
spaces = ToManyRelationship(space['guid'])
group = v3.security_groups.create('judged', running_spaces=spaces)
assert group['relationships']['running_spaces']['data'][0]['guid'] == space['guid']
job(v3.security_groups.remove(group['guid']))
quota = v3.organization_quotas.create('judged')
v3.organization_quotas.apply_to_organizations(quota['guid'], ToManyRelationship(organization['guid']))
says('labels, security groups and quotas')

client.delete(f'{api}/v3/service_credential_bindings/{binding["guid"]}')
v3.service_instances.remove(instance['guid'])
job(v3.routes.remove(route['guid']))
job(v3.apps.remove(app['guid']))
assert v3.apps.get_first(names=['judged'], space_guids=[space['guid']]) is None
job(v3.spaces.remove(space['guid']))
job(v3.organizations.remove(organization['guid']))
job(v3.organization_quotas.remove(quota['guid']))
says('deleted')
