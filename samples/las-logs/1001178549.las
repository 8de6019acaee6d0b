# 03/04/1999 13:21:59 Updated by the Kansas Geological Survey
# New: UWI  .              15-999-00001: Unique Well Id
~Version : LASO    vs 4.1
 VERS .                       2.0: CWLS Log ASCII Standard -VERSION 2.0
 WRAP .                       YES: Multiple lines per depth step
~Well Information Block
#MNEM.UNIT       Data                        Description of Mnemonic
 UWI  .              15-999-00001: Unique Well Id
 PM   .                         6: Principal Meridian
 STAT .                    Kansas: State
 SECT .                        28: Section
 TOWN .                       30S: Township
 RANG .                       39W: Range
 COUN .                   STANTON: County Name
 COMP .              MADE-UP PROD: Company
 WELL .                      1-99: Well Name
 LEAS .                   MADE-UP: Lease Name
 FLD  .                   MADE-UP: Field
 STRT .FT               1783.5000: Start Depth
 STOP .FT               1783.7500: End Depth
 STEP .FT                  0.2500: Depth Increment
 NULL .                   -999.25: NULL Value
 LOC  .       C,NW,NE, 28-30S-39W: WELL LOCATION
 CTRY .             UNITED STATES: COUNTRY
 SRVC .                       HAL: LOGGING SERVICE COMPANY
 DATE .                 31-MAY-94: DATE LOGGED
 API  .              159990000100: API NUMBER
 LIC  .                   0000100: ERCB LICENSE NUMBER
~Curve Information Block
#MNEM.UNIT            API CODE               Curve Description
 DEPT .FT             0   1  0  0: 1 DEPTH
 GSGR .API            0   1  0  0: 2 ????????
 GSTK .API            0   1  0  0: 3 ????????
 GST  .API            0   1  0  0: 4 ????????
 GSK  .PERCNT         0   1  0  0: 5 ????????
 GSTH .PPM            0   1  0  0: 6 ????????
 GSUR .PPM            0   1  0  0: 7 ????????
 NCNPL.PERCNT         0   1  0  0: 8 ????????
 DLDPL.PERCNT         0   1  0  0: 9 ????????
 DLDC .GM/CC          0   1  0  0: 10 ????????
 DLPE .B/E            0   1  0  0: 11 ????????
 DLDN .GM/CC          0   1  0  0: 12 ????????
 DLCL .INCHES         0   1  0  0: 13 ????????
 DLTN .LBS            0   1  0  0: 14 ????????
 IDGR .API            0   1  0  0: 15 ????????
 ACCL1.INCHES         0   1  0  0: 16 ????????
 ACCL2.INCHES         0   1  0  0: 17 ????????
 ACTC .US/FT          0   1  0  0: 18 ????????
 ACAPL.PERCNT         0   1  0  0: 19 ????????
 IDIM .OHMM           0   1  0  0: 20 ????????
 IDID .OHMM           0   1  0  0: 21 ????????
 IDIDC.MMHOS          0   1  0  0: 22 ????????
 IDL3 .OHMM           0   1  0  0: 23 ????????
 IDTN .LBS            0   1  0  0: 24 ????????
 IDSP .MVOLT          0   1  0  0: 25 ????????
 MEL1 .OHMM           0   1  0  0: 26 ????????
 ME   .OHMM           0   1  0  0: 27 ????????
~Parameter Information Block
 GL   .FT               3190.0000: Ground Level Elevation
 DREF .                        KB: Depth Reference
 EREF .FT               3210.0000: Elevation of Depth Reference
 LAT  .                  37.41565: Latitude
 LONG .                -101.58701: Longitude
~Asc DEPTH
 1783.5000
  -999.2500  -999.2500  -999.2500  -999.2500  -999.2500  -999.2500  -999.2500
  -999.2500  -999.2500  -999.2500  -999.2500  -999.2500  -999.2500    50.6000
     8.3800  -999.2500    55.1000     0.0569  -999.2500  -999.2500     0.0500
  -999.2500  -999.2500    92.6000  -999.2500  -999.2500
 1783.7500
  -999.2500  -999.2500  -999.2500  -999.2500  -999.2500  -999.2500  -999.2500
  -999.2500  -999.2500  -999.2500  -999.2500  -999.2500  -999.2500    49.7000
     8.3900  -999.2500    54.3000     0.0590  -999.2500  -999.2500     0.0500
  -999.2500  -999.2500    92.7000  -999.2500  -999.2500
