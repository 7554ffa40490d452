/** What the output of Maven and Gradle means, and what to do about it. */
import type { Hint } from '../explain.ts';

export const JAVA_HINTS: readonly Hint[] = [
  [
    /(?:Source|Target) option (\S+) is no longer supported/,
    'it is compiled for Java $1, which is too old: set maven.compiler.source and maven.compiler.target in pom.xml, or sourceCompatibility in build.gradle, to 8 or newer',
  ],
  [
    /(?:invalid target release|release version|Source option|error: invalid source release):? (\S+)/,
    'the app is compiled for Java $1, which this JDK does not know: install that JDK, or ask for an older Java in pom.xml or build.gradle',
  ],
  [
    /Unsupported class file major version|has been compiled by a more recent version/,
    'Gradle or a plugin does not run on this JDK: ask for another one in system.properties (java.runtime.version=17)',
  ],
  [
    /Could not (?:transfer|find) artifact ([^\s]+)|The following artifacts could not be resolved: ([^\s,]+)|Could not (?:resolve|find) ([\w.-]+:[\w.:-]+)/,
    '$1 is not to be had from the repository: mend its version, or add the repository that has it',
  ],
  [
    /Could not install Gradle distribution|services\.gradle|UnknownHostException|Connection timed out/,
    "Gradle or its packages could not be fetched from the build: check this machine's network, or push the jar that you build where you develop (cf push -p build/libs/APP.jar)",
  ],
  [
    /COMPILATION ERROR[\s\S]*?ERROR\] (\S+\.(?:java|kt):\S+ [^\n]{1,120})|error: ([^\n]{1,120})\n/,
    'it does not compile: $1',
  ],
  [
    /There are test failures|Tests run: .*(?:Failures|Errors): [1-9]/,
    'tests fail: push what passes, or leave them out with MAVEN_CUSTOM_OPTS=-DskipTests',
  ],
  [
    /JAVA_HOME|No compiler is provided/,
    'there is no JDK on this machine. As root: apt-get install default-jdk-headless; then push again',
  ],
];
