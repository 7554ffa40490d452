/** Scopes as UAA gives them: what a token says of itself. What it may really do is decided by roles, at each request. */
const USER = ['openid', 'uaa.user', 'cloud_controller.read', 'cloud_controller.write', 'password.write'];
const ADMIN = [
  'cloud_controller.admin',
  'doppler.firehose',
  'network.admin',
  'network.write',
  'routing.router_groups.read',
  'scim.read',
  'scim.write',
  'uaa.admin',
];

export function scopesOf(user: { isAdmin: boolean }): string[] {
  return user.isAdmin ? [...USER, ...ADMIN] : USER;
}
