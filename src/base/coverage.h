/* What a process has run is recorded when it ends by exit(3) or becomes another program by those of exec(3) that gcov
 * knows. Where neither is the case, this does it, in a build for coverage. */
#ifndef BASE_COVERAGE_H
#define BASE_COVERAGE_H

#ifdef COVERAGE
void __gcov_dump(void);
#define coverage_record() __gcov_dump()
#else
#define coverage_record() ((void)0)
#endif

#endif
